# usage: render.sh DEPLOY_DIR disk|memory PROJECT PROJECT_DIR COMPOSE_FILE...   (tar of the sources on standard input)
# Prints the private directory that was used, the directory of the sources in it, the resolved model as JSON, and a last
# line with the services of all profiles ("?" where Compose can't tell). Removes the directory whatever happens.
where=$2 project=$3 project_dir=$4
shift 4
umask 077
command -v tar >/dev/null 2>&1 || die 70 "there is no tar command on this host"
if [ "$where" = memory ]; then
    [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] ||
        die 70 "env.delivery: runtime needs /dev/shm in memory (tmpfs) on this host: values may not touch its disk"
    TMPDIR=/dev/shm
fi
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
set -- -p "$project" --project-directory "$root/$project_dir" --env-file .env "$@"
everything=
if grep -rqs profiles "$root"; then
    compose "$@" --profile '*' config --services >"$tmp/services" 2>/dev/null &
    everything=$!
fi
printf '%s\n%s\n' "$tmp" "$root"
status=0
compose "$@" config --format json || status=$?
if [ -n "$everything" ] && ! wait "$everything"; then
    printf '?\n'
elif [ -n "$everything" ]; then
    tr '\n' ' ' <"$tmp/services"
    printf '\n'
fi
[ "$status" -eq 0 ] || exit "$status"
