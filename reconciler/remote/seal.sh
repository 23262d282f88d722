# usage: seal.sh DEPLOY_DIR RELEASE   (tar on standard input: seal, release.tar)
# Puts the sealed copy of a release that is there in its place.
release=$2
incoming=$own/staging/seal
umask 077
mkdir -p "$incoming" "$own/sealed"
leaving() { rm -rf "$own/staging"; }
tar -xf - -C "$incoming" || die 70 "could not write the sealed copy of $release; the disk: $(df -Ph "$dir" | tail -n 1)"
chmod 0400 "$incoming/seal" "$incoming/release.tar"
ours "$incoming" "$own/sealed"
mv -f "$incoming/seal" "$own/sealed/$release.seal" # before the tar, which only a seal explains
mv -f "$incoming/release.tar" "$own/sealed/$release.tar"
