#!/bin/sh
# Makes sure of a Docker engine with Compose v2 or later on this machine.
#
# A machine that has both is left exactly as it is. On Debian, as root, with no engine, both are installed
# (from Debian 13 where Debian 12 has only the dead Compose v1) and, without systemd, dockerd is started.
# Anywhere else it says what to install. Exit codes: 0 ready, 1 not ready (the last line says why).
set -eu

STATE_DIR=${RECONCILER_ENGINE_STATE:-/var/lib/reconciler-engine}
SUITE=trixie
SOURCE=/etc/apt/sources.list.d/reconciler-docker
PIN=/etc/apt/preferences.d/reconciler-docker

say() { printf '%s\n' "engine: $*"; }
fail() { printf '%s\n' "engine: $*" >&2; exit 1; }

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

compose_is_v2() {
    version=$(docker compose version --short 2>/dev/null) || return 1
    major=${version#v}
    major=${major%%.*}
    case $major in '' | *[!0-9]*) return 1 ;; esac
    [ "$major" -ge 2 ]
}

ready() { engine_answers && compose_is_v2; }

advise() {
    fail "$1. Install Docker Engine 20.10 or later with the Compose plugin v2 or later" \
        "(https://docs.docker.com/engine/install/), start it, and let this user reach it: 'docker compose version' and" \
        "'docker ps' must both answer."
}

# The machine's own Debian source, with the suite changed: whatever mirror, key and options this machine uses stay.
derive_source() {
    rm -f "$SOURCE.sources" "$SOURCE.list"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        awk -v from="$VERSION_CODENAME" -v to="$SUITE" 'BEGIN { RS = ""; FS = "\n" }
            $0 ~ "(^|\n)Types:[^\n]*deb([ \t\n]|$)" && $0 ~ "(^|\n)Suites:([^\n]*[ \t])?" from "([ \t\n]|$)" &&
            $0 !~ "(^|\n)Enabled:[ \t]*no" {
                for (i = 1; i <= NF; i++)
                    if ($i ~ /^Suites:/) print "Suites: " to
                    else if ($i ~ /^Components:/) print "Components: main"
                    else print $i
                exit
            }' "$file" >"$SOURCE.sources"
        if [ -s "$SOURCE.sources" ]; then break; fi
        rm -f "$SOURCE.sources"
    done
    if ! [ -f "$SOURCE.sources" ]; then
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n "s/^[[:space:]]*deb\
\\([[:space:]]\\{1,\\}\\[[^]]*\\]\\)\\{0,1\\}[[:space:]]\\{1,\\}\\([^[:space:]]*\\)[[:space:]]\\{1,\\}$VERSION_CODENAME\
[[:space:]].*/deb\\1 \\2 $SUITE main/p" | head -n 1 >"$SOURCE.list"
        if ! [ -s "$SOURCE.list" ]; then
            rm -f "$SOURCE.list"
            advise "no package source for Debian $VERSION_CODENAME was found in /etc/apt"
        fi
    fi
    printf 'Package: *\nPin: release n=%s\nPin-Priority: 50\n' "$SUITE" >"$PIN"
}

install_packages() {
    [ "$(id -u)" = 0 ] || advise "no Docker engine answers, and only root can install one"
    # shellcheck source=/dev/null
    . /etc/os-release
    [ "${ID:-}" = debian ] || advise "no Docker engine answers, and this is ${PRETTY_NAME:-not Debian}"
    if [ -x /usr/sbin/dockerd ] && [ -x /usr/libexec/docker/cli-plugins/docker-compose ]; then
        return
    fi
    say "installing Docker and Compose v2 from Debian's packages"
    export DEBIAN_FRONTEND=noninteractive
    if [ "${VERSION_ID:-0}" -ge 13 ]; then
        set -- docker.io docker-cli docker-compose
    else
        derive_source
        set -- "docker.io/$SUITE" "docker-cli/$SUITE" "docker-compose/$SUITE"
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" iptables ca-certificates >/dev/null ||
        fail "apt-get could not install $*; its message is above"
}

# Sets `pid` to the dockerd that an init script (or somebody else) started a moment ago.
dockerd_is_starting() {
    pid=$(cat /var/run/docker.pid 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]
}

# An init system does this; a bare machine or container may have nothing of it.
mount_cgroups() {
    if grep -q ' cgroup2\{0,1\} ' /proc/mounts; then return; fi
    mount -t cgroup2 cgroup2 /sys/fs/cgroup || fail "no control groups are mounted, and /sys/fs/cgroup can't be"
}

start_engine() {
    if engine_answers; then return; fi
    if [ -d /run/systemd/system ]; then
        systemctl start docker || fail "systemctl could not start docker: journalctl -u docker says why"
        return
    fi
    mkdir -p "$STATE_DIR"
    mount_cgroups
    if dockerd_is_starting; then
        say "waiting for the dockerd that runs already"
    else
        say "starting dockerd (log: $STATE_DIR/dockerd.log)"
        setsid dockerd >"$STATE_DIR/dockerd.log" 2>&1 </dev/null &
        pid=$!
    fi
    tries=0
    until engine_answers; do
        kill -0 "$pid" 2>/dev/null || dockerd_is_starting ||
            fail "dockerd ended: $(tail -n 1 "$STATE_DIR/dockerd.log")"
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || fail "dockerd did not answer within 60 s; see $STATE_DIR/dockerd.log"
        sleep 0.2 # dockerd without systemd announces its socket to nobody: ask again
    done
}

if ! ready; then
    install_packages
    start_engine
    ready || advise "docker answers, but 'docker compose' is missing or older than v2"
fi
say "Docker $(docker version --format '{{.Server.Version}}'), Compose $(docker compose version --short)"
