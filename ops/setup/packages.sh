#!/bin/sh
# Makes sure of what the demo and the tests run besides Docker and Python: Debian's static busybox (what the demo's
# images are made of), and for the tests sshd, a registry, Prometheus, Alertmanager, sudo, shellcheck, the tools of
# network namespaces and a browser.
#
# Where all of it is there, nothing happens. On Debian as root the rest is installed, and no service is started.
# Anywhere else it says what is missing. Exit codes: 0 ready, 1 not ready (the last line says why).
set -eu

POLICY=/usr/sbin/policy-rc.d

PATH=$PATH:/usr/sbin:/sbin

# A command, and the package that has it.
NEEDED='
git git
ssh openssh-client
sshd openssh-server
docker-registry docker-registry
prometheus prometheus
prometheus-alertmanager prometheus-alertmanager
shellcheck shellcheck
sudo sudo
ip iproute2
iptables iptables
ps procps
chromium chromium
'

missing() {
    [ -x /bin/busybox ] && /bin/busybox --list | grep -qx nc || echo busybox-static
    echo "$NEEDED" | while read -r command package; do
        [ -z "$command" ] || command -v "$command" >/dev/null || echo "$package"
    done
}

# Packages start their services when they are installed, unless this file tells them not to.
forbid_services() {
    if [ -e "$POLICY" ]; then return; fi
    trap 'rm -f "$POLICY"' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
}

packages=$(missing | tr '\n' ' ')
if [ -z "$packages" ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "packages: not found here: $packages(as Debian names them); install them, or run this as root on Debian" >&2
    exit 1
fi
echo "packages: installing $packages"
forbid_services
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of names
if ! apt-get install -y -qq --no-install-recommends $packages >/dev/null; then
    echo "packages: apt-get could not install $packages; its message is above" >&2
    exit 1
fi
