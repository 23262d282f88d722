# usage: written.sh DEPLOY_DIR LIMIT AREA...
# For each of these directories of the app, by its position: the number of its regular files, and the time of the newest
# (seconds since 1970). It looks at LIMIT files at most. Changes nothing.
limit=$2
shift 2
for tool in env find head sort stat tr xargs; do
    command -v "$tool" >/dev/null 2>&1 || die 70 "there is no $tool command on this host, to tell what was written"
done

# A line for each file. One with a newline in its name counts, and its time doesn't: it isn't found again.
look() {
    names=$(find . -xdev -type f -print0 2>/dev/null | tr '\n\0' '?\n' | head -n "$limit")
    [ -n "$names" ] || return 0
    printf '%s\n' "$names" | wc -l
    printf '%s\n' "$names" | tr '\n' '\0' | xargs -0 stat -c %Y 2>/dev/null | sort -n | tail -n 1
}

position=0
for name in "$@"; do
    (
        status=0
        area "$name" || status=$?
        case $status in
        0) line "$position" "$(look)" ;;
        1) line "$position" absent ;;
        *) line "$position" refused ;;
        esac
    )
    position=$((position + 1))
done
