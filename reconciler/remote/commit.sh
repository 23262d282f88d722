# usage: commit.sh DEPLOY_DIR BYTES LAST_GOOD LAST_GOOD_TAG CURRENT   (state on standard input; "-" leaves a link alone)
# Writes the state, then moves the links: what a pass is about to do is on record before it does it.
size=$2 good=$3 good_tag=$4 current=$5

# What a hand-made deployment left where ours goes, or what Compose would merge into it, is moved aside, never deleted.
aside() {
    for name in compose.yaml compose.yml docker-compose.yaml docker-compose.yml compose.override.yaml compose.override.yml \
        docker-compose.override.yaml docker-compose.override.yml .env current last_good; do
        if [ ! -e "$dir/$name" ] || [ -L "$dir/$name" ]; then continue; fi
        place=$own/adopted/$(date +%Y%m%d_%H%M%S)
        mkdir -p "$place"
        chmod 0700 "$own/adopted" "$place"
        mv "$dir/$name" "$place/"
    done
}
put "$own/state.json" 0600 "$size"
if [ "$good" != - ]; then
    point "releases/$good" "$dir/last_good"
    if [ "$(cat "$dir/last_good_tag" 2>/dev/null || true)" != "$good_tag" ]; then
        printf '%s\n' "$good_tag" | put "$dir/last_good_tag" 0444 $((${#good_tag} + 1))
    fi
fi
if [ "$current" != - ]; then
    [ -d "$dir/releases/$current" ] || die 70 "releases/$current is gone"
    aside
    point "releases/$current" "$dir/current"
    point current/compose.yaml "$dir/compose.yaml"
    point current/.env "$dir/.env"
fi
