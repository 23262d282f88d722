# usage: lock.sh DEPLOY_DIR WHO refuse|adopt WRITABLE...
# Takes the lock, observes, says "end", and holds the lock until standard input ends: the kernel gives it back whatever
# happens to its holder. Makes .reconciler and the key (with a copy) where the directory is empty but for writable
# areas.
who=$2 foreign=$3
shift 3
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
    cat "$own/holder" >&2 2>/dev/null || true # in this order: 2>/dev/null first would swallow it
    exit 75
fi
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
printf '%s\n' "$who" >"$own/holder.new"
mv -f "$own/holder.new" "$own/holder"
observe audit "$own/inventory" "$@" 9>&-
line end ""
exec cat >/dev/null
