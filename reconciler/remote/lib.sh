# shellcheck shell=sh
# Common to all scripts that run on a target. Each gets this text before its own; $1 is always deploy_dir.
# Exit codes: 70 what is needed is missing on this host, 73 the directory isn't ours, 75 locked by another, 76 another has
# taken over (fenced.sh).
set -eu
umask 022
export LC_ALL=C # lengths are bytes
dir=$1
own=$dir/.reconciler

die() { code=$1; shift; printf '%s\n' "$*" >&2; exit "$code"; }

# A section of the answer: its name, its length in bytes, and the bytes. Unreadable is an error, never "absent".
section() {
    [ -e "$2" ] || return 0
    size=$(wc -c <"$2") || die 70 "can't read $2"
    printf '%s %d\n' "$1" "$size"
    cat "$2"
    printf '\n'
}

line() { printf '%s %d\n%s\n' "$1" "${#2}" "$2"; }

# Compose's plugin called directly saves the docker command's start. Its environment is empty but for what it needs:
# a variable of this login shell must not get into a release.
find_compose() {
    plugin=
    for place in "${HOME:-/root}/.docker/cli-plugins" /usr/local/lib/docker/cli-plugins \
        /usr/local/libexec/docker/cli-plugins /usr/lib/docker/cli-plugins /usr/libexec/docker/cli-plugins; do
        if [ -x "$place/docker-compose" ]; then plugin=$place/docker-compose; break; fi
    done
    if [ -z "$plugin" ]; then
        command -v docker >/dev/null 2>&1 || die 70 "there is no docker command on this host; install Docker and Compose v2"
        docker compose version >/dev/null 2>&1 ||
            die 70 "Docker Compose v2 or later is missing on this host (docker compose version fails); the old" \
                "docker-compose v1 is not enough: install the package docker-compose-plugin"
        plugin="docker compose"
    fi
}

# A file that comes from elsewhere is another one tomorrow, and its address may carry a value there: Compose fetches none.
compose() {
    find_compose
    # shellcheck disable=SC2086 # $plugin may be two words
    env -i PATH="$PATH" HOME="${HOME:-/root}" ${DOCKER_HOST:+DOCKER_HOST="$DOCKER_HOST"} \
        ${DOCKER_CONFIG:+DOCKER_CONFIG="$DOCKER_CONFIG"} ${XDG_RUNTIME_DIR:+XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR"} \
        COMPOSE_ANSI=never COMPOSE_PROGRESS=plain \
        COMPOSE_EXPERIMENTAL_GIT_REMOTE=false COMPOSE_EXPERIMENTAL_OCI_REMOTE=false $plugin "$@"
}

# Puts standard input at $1 with mode $2, in one step that a crash can't halve. It has to be $3 bytes: a sender that
# dies in the middle ends the input, too.
put() {
    if ! cat >"$1.new" || [ "$(wc -c <"$1.new")" -ne "$3" ]; then
        rm -f "$1.new"
        die 70 "$1 did not arrive whole"
    fi
    chmod "$2" "$1.new"
    mv -f "$1.new" "$1"
}

# One owner for everything of ours, also where root comes to a user's directory.
ours() { if [ "$(id -u)" -eq 0 ]; then chown -hR "$(stat -c %u:%g "$own")" "$@"; fi; }

# Points the link $2 at $1 by one rename: a reader sees the old target or the new one. One that points there stays.
point() {
    if [ "$(readlink "$2" || true)" = "$1" ]; then return 0; fi
    rm -f "$own/link.new"
    ln -s "$1" "$own/link.new"
    mv -fT "$own/link.new" "$2"
}

# What was written, or renamed in these directories, survives the loss of power from here on.
durable() { sync "$@" 2>/dev/null || sync; } # older ones know no files

# usage: journal begin|end SCRIPT WHAT...   (SCRIPT as in $0, reconciler-<name>)
# One line, with the generation and the seconds since the boot (as lock.sh began, it noted both clocks): a crash can leave
# the last one torn, and no other. Few processes are started for it: there are two for each script.
journal() {
    moment=$1 script=${2#reconciler-}
    shift 2
    if [ "$moment" = begin ]; then shift; fi # deploy_dir
    case $* in *"
"*) set -- "$(printf '%s ' "$@" | tr '\n' ' ')" ;; esac
    read -r up _ </proc/uptime
    printf '%s %s %s %s %.200s\n' "$generation" "$up" "$moment" "$script" "$*" >>"$own/journal"
    durable "$own/journal"
}

# The start of a process in ticks since the boot, and its group, as $born: with its number they name it for good.
birth() {
    born=
    read -r stat <"/proc/$1/stat" 2>/dev/null || return 1
    # shellcheck disable=SC2086 # the fields of one line; a shell's name has no blank in it
    set -- $stat
    born="${22} $5"
}

# Says that this shell changes something, to whoever may have to end it.
acting() {
    [ -d "$own/acting" ] || mkdir -p "$own/acting"
    birth $$
    printf '%s\n' "$born" >"$own/acting/$$"
}

# Ends with signal $1 what is acting still, with everything that it has started.
end_acting() {
    for entry in "$own"/acting/*; do
        [ -e "$entry" ] || continue
        read -r noted <"$entry" || continue
        if birth "${entry##*/}" && [ "$born" = "$noted" ]; then kill -s "$1" -- "-${born#* }" 2>/dev/null || true; fi
    done
}

# Takes the fence (fd 8) from whoever acts with an older generation, and makes the next one. What still runs is given 5 s
# to end by itself: it was sent by a pass that is dead. Sets $generation. The caller holds the lock.
next_generation() {
    exec 8>>"$own/fence"
    if ! flock -w 5 8; then
        end_acting TERM
        if ! flock -w 5 8; then
            end_acting KILL
            flock -w 10 8 || die 75 "what an earlier pass began is at work still, and can't be ended by $(id -un)"
        fi
    fi
    generation=$(cat "$own/generation" 2>/dev/null || date +%s) # where it was lost: more than it ever was
    generation=$((generation + 1))
    printf '%s\n' "$generation" >"$own/generation.new"
    durable "$own/generation.new"
    mv -f "$own/generation.new" "$own/generation"
    rm -rf "$own/acting"
    mkdir "$own/acting"
    tail -n 300 "$own/journal" >"$own/journal.new" 2>/dev/null || true
    read -r up _ </proc/uptime
    printf '%s %s at %s\n' "$generation" "$up" "$(date -u '+%Y-%m-%d %H:%M:%S') UTC" >>"$own/journal.new"
    mv -f "$own/journal.new" "$own/journal"
    durable "$own/journal" "$own"
    ours "$own/fence" "$own/generation" "$own/journal" "$own/acting"
    exec 8>&-
}

# Seconds since the boot; no clock that somebody sets.
uptime_seconds() {
    read -r up _ </proc/uptime
    printf '%s' "${up%%.*}"
}

# A sign of life for the watchdog's lease.
renew() {
    seconds=$(sed -n 's/^seconds //p' "$own/watchdog/lease/about" 2>/dev/null) || return 0
    if [ -z "$seconds" ]; then return 0; fi
    printf '%s\n' "$(($(uptime_seconds) + seconds + 1))" 2>/dev/null >"$own/watchdog/lease/until.new" || return 0
    mv -f "$own/watchdog/lease/until.new" "$own/watchdog/lease/until" 2>/dev/null || return 0
}

# Enters the app's own directory $1 (as in `writable:`) and sets $root to its path. From here on `.` is that directory,
# whatever becomes of its name. Fails where it isn't there (1), or is a link or lies behind one (2).
area() {
    if [ ! -e "$dir/$1" ] && [ ! -L "$dir/$1" ]; then return 1; fi
    home=$(cd -P "$dir" && env pwd -P) || return 2
    cd -P "$dir/$1" 2>/dev/null || return 2
    root=$(env pwd -P) # not the shell's own: bash derives its answer from names, and names change
    [ "$root" = "$home/$1" ] || return 2
}

# The kernel's number of the mount that `.` is on: another one for a bind mount of the same file system, too.
mount_id() {
    while read -r name value; do
        if [ "$name" = mnt_id: ]; then printf '%s' "$value"; fi
    done 3<. </proc/self/fdinfo/3
}

# usage: observe [audit INVENTORY-TO-WRITE WRITABLE...]
observe() {
    line user "$(id -un) $(id -u)"
    [ -e "$dir" ] || return 0
    if [ ! -r "$dir" ] || [ ! -x "$dir" ]; then die 70 "can't read $dir as $(id -un)"; fi
    # shellcheck disable=SC2012 # names are shown to a person, not processed
    line entries "$(ls -A "$dir" | head -n 50)"
    line disk "$(df -Pk "$dir" | tail -n 1)"
    [ -d "$own" ] || return 0
    if [ ! -r "$own" ] || [ ! -x "$own" ]; then die 70 "can't read $own as $(id -un)"; fi
    section key "$own/key"
    section key_copy "$own/sealed/key"
    section state "$own/state.json"
    section state_backup "$own/state.backup.json"
    section holder "$own/holder"
    section journal "$own/journal"
    for stage in lease reverting outcome; do section "$stage" "$own/watchdog/$stage/about"; done
    section alone "$own/watchdog/outcome/told"
    current=$(readlink "$dir/current" || true)
    line current "${current##*/}"
    good=$(readlink "$dir/last_good" || true)
    line last_good "${good##*/}"
    if [ -r "$own/sealed" ]; then line sealed "$(ls -A "$own/sealed")"; fi
    if [ -d "$dir/releases" ]; then line releases "$(ls -A "$dir/releases")"; fi
    if [ -n "$current" ] && [ -d "$dir/current/" ]; then
        section manifest "$dir/current/manifest.json"
        section env "$dir/current/.env"
    fi
    "$@"
}
