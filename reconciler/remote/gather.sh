# usage: gather.sh DEPLOY_DIR tar|tree RELEASE FILES-SHA256...
# A release as it lies on this host: its sealed tar, or a tar of its files. Nothing where it isn't there.
how=$2 release=$3
shift 3
cd "$dir"
if [ "$how" = tar ]; then
    if [ -f ".reconciler/sealed/$release.tar" ]; then cat ".reconciler/sealed/$release.tar"; fi
    exit 0
fi
count=$#
while [ "$count" -gt 0 ]; do
    if [ -d ".reconciler/files/$1" ]; then set -- "$@" ".reconciler/files/$1"; fi
    shift
    count=$((count - 1))
done
if [ -d "releases/$release" ]; then tar -cf - -- "releases/$release" "$@"; fi
