# usage: render.sh DEPLOY_DIR PROJECT PROJECT_DIR COMPOSE_FILE...   (tar of the sources on standard input)
# Prints the private directory that was used, the directory of the sources in it, then the resolved model as JSON.
# Removes the directory whatever happens.
project=$2 project_dir=$3
shift 3
umask 077
command -v tar >/dev/null 2>&1 || die 70 "there is no tar command on this host"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/reconciler.XXXXXXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# So deep that `../..` of a Compose file ends in nothing of ours, and not in a file that somebody else put into /tmp.
root=$tmp/1/2/3/4/5/6/7/8/9/10/11/12
mkdir -p "$root"
tar -xf - -C "$root"
cd "$root/$project_dir"
count=$#
while [ "$count" -gt 0 ]; do
    set -- "$@" -f "$root/$1"
    shift
    count=$((count - 1))
done
printf '%s\n%s\n' "$tmp" "$root"
compose -p "$project" --project-directory "$root/$project_dir" --env-file .env "$@" config --format json
