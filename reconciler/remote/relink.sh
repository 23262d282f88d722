# usage: relink.sh DEPLOY_DIR RUN SERVING LAST_GOOD LAST_GOOD_TAG   ("-" leaves a link alone)
# Points the links of a release where they belong; what is there instead is set aside. Touches nothing else.
serving=$3 good=$4 good_tag=$5
cd "$dir"

to() {
    at_top "$2"
    if [ -L "$2" ]; then
        was=$(readlink "$2")
        if [ "$was" = "$1" ]; then return 0; fi
        noted
        ln -s "$was" "$place"
    else
        set_aside
    fi
    point "$1" "$dir/$2"
}

if [ "$serving" != - ]; then
    [ -d "releases/$serving" ] || die 70 "releases/$serving is gone"
    to "releases/$serving" current
    to current/compose.yaml compose.yaml
    to current/.env .env
fi
if [ "$good" != - ]; then
    to "releases/$good" last_good
    at_top last_good_tag
    if [ -L last_good_tag ] || [ "$(cat last_good_tag 2>/dev/null || true)" != "$good_tag" ]; then
        set_aside
        printf '%s\n' "$good_tag" | put "$dir/last_good_tag" 0444 $((${#good_tag} + 1))
    fi
    chmod 0444 "$dir/last_good_tag"
fi
