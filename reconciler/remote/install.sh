# usage: install.sh DEPLOY_DIR RELEASE WRITABLE...   (tar on standard input: seal, release.tar)
# Only adds. A release appears by one rename, complete, or not at all; its sealed copy is there before it. One of that
# name that was never entered gives way: another pass died before it could.
# release.tar holds release/… and files/<sha256>/<name>…
release=$2
shift 2
incoming=$own/staging/install
cd "$own" # find wants to be able to come back to where it began
umask 077
mkdir -p "$incoming/tree" "$own/sealed"
umask 022
mkdir -p "$own/files" "$dir/releases"
leaving() { find "$own/staging" -type d -exec chmod u+rwx {} + && rm -rf "$own/staging"; }
umask 077
if ! said=$(tar -xf - -C "$incoming" 2>&1 && tar -xpf "$incoming/release.tar" -C "$incoming/tree" 2>&1); then # a line for each file
    die 70 "could not write the release: $(printf '%s\n' "$said" | head -n 1); nothing was changed. The disk:" \
        "$(df -Ph "$dir" | tail -n 1)"
fi
chmod 0400 "$incoming/seal" "$incoming/release.tar"
ours "$incoming" "$own/files" "$own/sealed" "$dir/releases"
mv -f "$incoming/seal" "$own/sealed/$release.seal" # before the tar, which only a seal explains
mv -f "$incoming/release.tar" "$own/sealed/$release.tar"
for stored in "$incoming"/tree/files/*; do
    [ -e "$stored" ] || continue
    name=${stored##*/}
    if [ -e "$own/files/$name" ]; then continue; fi
    mv -T "$stored" "$own/files/$name"
    find "$own/files/$name" -type d -exec chmod 0555 {} + # a directory without write bits can't be moved by its owner
done
if [ -e "$dir/releases/$release" ]; then
    chmod u+w "$dir/releases/$release"
    mv -T "$dir/releases/$release" "$own/staging/before"
fi
mv -T "$incoming/tree/release" "$dir/releases/$release"
chmod 0555 "$dir/releases/$release"
umask 022
for area in "$@"; do
    [ -e "$dir/$area" ] || mkdir -p "$dir/$area"
done
