# usage: commit.sh DEPLOY_DIR BYTES LAST_GOOD LAST_GOOD_TAG CURRENT   (state on standard input; "-" leaves a link alone)
# Writes the state and then its backup, then moves the links: what a pass is about to do is on record before it does it.
size=$2 good=$3 good_tag=$4 current=$5

# What a hand-made deployment left where ours goes, or what Compose would merge into it, is moved aside, never deleted.
place=
aside() {
    for name in "$@"; do
        if [ ! -e "$dir/$name" ] || [ -L "$dir/$name" ]; then continue; fi
        place=${place:-$own/adopted/$(date +%Y%m%d_%H%M%S)}
        mkdir -p "$place"
        chmod 0700 "$own/adopted" "$place"
        mv "$dir/$name" "$place/"
    done
}

# Two copies by two renames: a crash leaves the newer one whole in front, or the older ones both.
umask 077
cat >"$own/state.json.new"
[ "$(wc -c <"$own/state.json.new")" -eq "$size" ] || die 70 "$own/state.json did not arrive whole"
cat "$own/state.json.new" >"$own/state.backup.json.new"
chmod 0600 "$own/state.json.new" "$own/state.backup.json.new"
durable "$own/state.json.new" "$own/state.backup.json.new"
mv -f "$own/state.json.new" "$own/state.json"
mv -f "$own/state.backup.json.new" "$own/state.backup.json"
durable "$own"
umask 022

if [ "$good" != - ]; then
    aside last_good
    point "releases/$good" "$dir/last_good"
    if [ "$(cat "$dir/last_good_tag" 2>/dev/null || true)" != "$good_tag" ]; then
        if [ ! -f "$dir/last_good_tag" ]; then aside last_good_tag; fi
        printf '%s\n' "$good_tag" | put "$dir/last_good_tag" 0444 $((${#good_tag} + 1))
    fi
fi
if [ "$current" != - ]; then
    [ -d "$dir/releases/$current" ] || die 70 "releases/$current is gone"
    aside compose.yaml compose.yml docker-compose.yaml docker-compose.yml compose.override.yaml compose.override.yml \
        docker-compose.override.yaml docker-compose.override.yml .env current
    point "releases/$current" "$dir/current"
    point current/compose.yaml "$dir/compose.yaml"
    point current/.env "$dir/.env"
    durable "$dir"
fi
