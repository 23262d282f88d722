# usage: lock.sh DEPLOY_DIR WHO PURPOSE refuse|adopt SECONDS WRITABLE...
# Takes the lock, observes, says "end", and holds the lock as long as lines come on standard input: the kernel gives it
# back whatever happens to its holder, which ends 30 s after the last line. Waits SECONDS for another to give it back,
# and tells who that is. Makes .reconciler and the key (with a copy) where the directory is empty but for writable areas.
who=$2 purpose=$3 foreign=$4 patience=$5
shift 5
command -v flock >/dev/null 2>&1 || die 70 "there is no flock command on this host (package util-linux)"
if [ ! -d "$own" ]; then
    if [ -d "$dir" ] && [ "$foreign" = refuse ]; then
        for entry in "$dir"/* "$dir"/.[!.]*; do
            if [ ! -e "$entry" ] && [ ! -L "$entry" ]; then continue; fi
            known=no
            for area in "$@"; do if [ "${entry##*/}" = "${area%%/*}" ]; then known=yes; fi; done
            [ "$known" = yes ] || die 73 "${entry##*/}"
        done
    fi
    said=$(mkdir -p "$own" 2>&1) ||
        die 70 "can't make $own as $(id -un) (${said##*: }); as root there: install -d -o $(id -un) $dir"
    chmod 0755 "$own"
fi
[ -w "$own" ] || die 70 "can't write to $own as $(id -un); log in as its owner, $(stat -c %U "$own")"
exec 9>>"$own/lock"
if ! flock -n 9; then
    line waiting "$(cat "$own/holder" 2>/dev/null || true)"
    if [ "$patience" = 0 ] || ! flock -w "$patience" 9; then
        cat "$own/holder" >&2 2>/dev/null || true # in this order: 2>/dev/null first would swallow it
        exit 75
    fi
fi
if [ -d "$own/watchdog/reverting" ]; then
    exec 6>>"$own/watchdog/busy"
    flock -n 6 || die 75 "the target's own watchdog, which is going back after a pass that gave no sign of life"
    if [ -d "$own/watchdog/reverting" ]; then # its watchdog died in the middle: this pass goes on from there
        printf 'result abandoned\nat %s\n' "$(date +%s)" >>"$own/watchdog/reverting/about"
        rm -rf "$own/watchdog/outcome"
        mv -T "$own/watchdog/reverting" "$own/watchdog/outcome"
    fi
    exec 6>&-
fi
next_generation 9>&-
renew
if [ ! -s "$own/key" ] && [ ! -s "$own/sealed/key" ]; then
    (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$own/key.new")
    chmod 0400 "$own/key.new"
    ours "$own/key.new"
    mv -f "$own/key.new" "$own/key"
fi
if [ ! -s "$own/sealed/key" ]; then # what is lost with the key can't be made again: every digest
    (umask 077 && mkdir -p "$own/sealed" && cat "$own/key" >"$own/sealed/key.new")
    chmod 0400 "$own/sealed/key.new"
    ours "$own/sealed"
    mv -f "$own/sealed/key.new" "$own/sealed/key"
fi
# Whatever lies in staging belonged to a pass that is dead: we hold the lock.
if [ -d "$own/staging" ]; then
    chmod -R u+w "$own/staging"
    rm -rf "$own/staging"
fi
from=${SSH_CONNECTION:-}
printf '%s\n%s, since %s UTC%s\n' "$who" "$purpose" "$(date -u '+%Y-%m-%d %H:%M:%S')" "${from:+ from ${from%% *}}" >"$own/holder.new"
mv -f "$own/holder.new" "$own/holder"
line generation "$generation"
observe audit "$own/inventory" "$@" 9>&-
line end ""
while timeout 30 sh -c 'read -r beat' 9>&-; do renew; done
