# usage: fetch.sh DEPLOY_DIR LIMIT_KB PATH...
# A tar of files and directories below deploy_dir (paths relative to it), of those that
# are there; refuses more than LIMIT_KB.
limit=$2
shift 2
cd "$dir"
count=$#
while [ "$count" -gt 0 ]; do
    if [ -e "$1" ]; then set -- "$@" "$1"; fi
    shift
    count=$((count - 1))
done
[ $# -gt 0 ] || exit 0
size=$(du -sck -- "$@" | tail -n 1 | cut -f 1)
[ "$size" -le "$limit" ] || die 70 "the mounted files have $size KiB, and at most $limit KiB are taken over: $*"
tar -chf - -- "$@"
