# usage: install.sh DEPLOY_DIR RELEASE WRITABLE...   (tar on standard input: release/…, files/<sha256>/<name>…)
# Only adds. A release appears by one rename, complete, or not at all.
release=$2
shift 2
incoming=$own/staging/install
mkdir -p "$incoming" "$own/files" "$dir/releases"
trap 'rm -rf "$own/staging"' EXIT
umask 077
if ! said=$(tar -xpf - -C "$incoming" 2>&1); then # it says one line for each file
    die 70 "could not write the release: $(printf '%s\n' "$said" | head -n 1); nothing was changed. The disk:" \
        "$(df -Ph "$dir" | tail -n 1)"
fi
for stored in "$incoming"/files/*; do
    [ -e "$stored" ] || continue
    name=${stored##*/}
    if [ -e "$own/files/$name" ]; then continue; fi
    mv -T "$stored" "$own/files/$name"
    chmod 0555 "$own/files/$name"
done
if [ ! -e "$dir/releases/$release" ]; then
    mv -T "$incoming/release" "$dir/releases/$release"
fi
chmod 0555 "$dir/releases/$release" "$own/files"
chmod 0755 "$own/files"
umask 022
for area in "$@"; do
    [ -e "$dir/$area" ] || mkdir -p "$dir/$area"
done
