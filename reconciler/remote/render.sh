# usage: render.sh DEPLOY_DIR PROJECT PROJECT_DIR COMPOSE_FILE...   (tar of the sources on standard input)
# Prints the private directory that was used, then the resolved model as JSON. Removes the directory whatever happens.
project=$2 project_dir=$3
shift 3
umask 077
command -v tar >/dev/null 2>&1 || die 70 "there is no tar command on this host"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/reconciler.XXXXXXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
tar -xf - -C "$tmp"
cd "$tmp/$project_dir"
files=
for file in "$@"; do
    case $file in *[!A-Za-z0-9._/@+-]*) die 70 "the Compose file's name has a character that isn't supported: $file" ;; esac
    files="$files -f $tmp/$file"
done
printf '%s\n' "$tmp"
# shellcheck disable=SC2086 # names were checked above
compose -p "$project" --project-directory "$tmp/$project_dir" --env-file .env $files config --format json
