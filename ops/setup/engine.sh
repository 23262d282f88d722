#!/bin/sh
# Makes sure of a Docker engine with Compose v2 or later on this machine.
#
# A machine that has both is left exactly as it is. On Debian, as root, with no engine, both are installed
# (from Debian 13 where Debian 12 has only the dead Compose v1) and, without systemd, dockerd is started.
# Anywhere else it says what to install. Exit codes: 0 ready, 1 not ready (the last line says why).
set -eu

STATE_DIR=${RECONCILER_ENGINE_STATE:-/var/lib/reconciler-engine}
SUITE=trixie
SOURCE=/etc/apt/sources.list.d/reconciler-docker.sources
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

# The machine's own Debian source, with the suite changed: it keeps whatever mirror and key this machine uses.
derive_source() {
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        [ "$file" != "$SOURCE" ] || continue
        uri=$(sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' "$file" | grep -v security | head -n 1)
        key=$(sed -n 's/^Signed-By:[[:space:]]*\([^[:space:]]*\).*/\1/p' "$file" | head -n 1)
        case $uri in */debian | */debian/) break ;; *) uri= ;; esac
    done
    if [ -z "${uri:-}" ] && [ -f /etc/apt/sources.list ]; then
        uri=$(sed -n 's/^deb[[:space:]]\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\/debian\/\{0,1\}\)[[:space:]].*/\2/p' \
            /etc/apt/sources.list | head -n 1)
    fi
    [ -n "${uri:-}" ] || advise "no Debian package source was found in /etc/apt"
    [ -f "${key:-}" ] || key=/usr/share/keyrings/debian-archive-keyring.gpg
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$uri" "$SUITE" "$key" >"$SOURCE"
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

start_engine() {
    if engine_answers; then return; fi
    if [ -d /run/systemd/system ]; then
        systemctl start docker || fail "systemctl could not start docker: journalctl -u docker says why"
        return
    fi
    mkdir -p "$STATE_DIR"
    say "starting dockerd (log: $STATE_DIR/dockerd.log)"
    setsid dockerd >"$STATE_DIR/dockerd.log" 2>&1 </dev/null &
    pid=$!
    tries=0
    until engine_answers; do
        kill -0 "$pid" 2>/dev/null || fail "dockerd ended: $(tail -n 1 "$STATE_DIR/dockerd.log")"
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
