# usage: render_here.sh DEPLOY_DIR PROJECT CONFIG_FILE...
# The model that a hand-made deployment in deploy_dir was started from, resolved as JSON. Changes nothing.
project=$2
shift 2
cd "$dir"
count=$#
while [ "$count" -gt 0 ]; do
    set -- "$@" -f "$1"
    shift
    count=$((count - 1))
done
compose -p "$project" --project-directory "$dir" "$@" config --format json
