# usage: sweep_files.sh DEPLOY_DIR ROOT MOUNT TIME INODE EMPTIED UNTIL HOLDER PATH...
# Called by the find of sweep.sh, in ROOT, for files below it. Removes those that come no later than the one of this TIME
# and INODE, and the directories that this empties, if nothing came or went there since EMPTIED. (Seconds since 1970.)
# A container may write here and swap a directory for a link at any moment. So nothing is removed by its path: each
# directory is entered, the kernel is asked where that really is, and only names in it are removed.
root=$2 mount=$3 time=$4 inode=$5 emptied=$6 until=$7 holder=$8
shift 8

tell() { printf '%s\n' "$*" >&2; }

# Whether `.` is the directory $1 of ROOT (./a/b), and not on another mount.
here() {
    [ "$(env pwd -P; printf .)" = "$root${1#.}
." ] && [ "$(mount_id)" = "$mount" ]
}

# Removes those of these names in `.` that have to go. awk's answer is how many it saw, and then words such as "${3}".
remove() {
    chosen=$(stat -c '%f %Y %i' -- "$@" 2>/dev/null | awk -v time="$time" -v inode="$inode" '
        $1 ~ /^8...$/ && ($2 < time || $2 == time && $3 <= inode) { words = words " \"${" NR "}\"" }
        END { print NR words }')
    if [ "${chosen%% *}" -ne $# ]; then # some are gone by now, so the others moved up: one by one
        [ $# -gt 1 ] || return 0
        for name in "$@"; do remove "$name"; done
        return 0
    fi
    case $chosen in *' '*) eval "rm -f -- ${chosen#* }" ;; esac
}

# The directory $1, and those around it, as far as they are empty and nobody used them.
prune() {
    in=$1
    while [ "$in" != . ]; do
        name=${in##*/} in=${in%/*}
        cd -P .. 2>/dev/null || return 0
        here "$in" || return 0
        changed=$(stat -c %Y .)
        rmdir -- "./$name" 2>/dev/null || return 0
        if [ "$changed" -gt "$emptied" ]; then return 0; fi
        touch -c -m -d "@$changed" . || return 0
    done
}

# The first $2 of the paths $3..., all in the directory $1. A subshell, as it enters it.
directory() (
    in=$1 count=$2 words=
    while [ "$count" -gt 0 ]; do
        words=" \"./\${$((count + 2))##*/}\"$words"
        count=$((count - 1))
    done
    eval "set -- $words"
    if ! cd -P "$in" 2>/dev/null || ! here "$in"; then
        tell "temp/${in#./}: not the directory that it was, so nothing in it was removed"
        return 0
    fi
    changed=$(stat -c %Y .)
    said=$(remove "$@" 2>&1 | sed '1!d')
    if [ -n "$said" ]; then tell "temp/${in#./}: $said"; fi
    if [ "$in" != . ] && [ "$changed" -le "$emptied" ]; then
        touch -c -m -d "@$changed" . || return 0 # what the sweep did to it doesn't count
        prune "$in"
    fi
)

goes_on() {
    if ! IFS= read -r has <"$own/holder" || [ "$has" != "$holder" ]; then
        tell "another pass has the lock by now"
        return 1
    fi
    if [ "$(date +%s)" -ge "$until" ]; then
        tell "the time was up; the next sweep goes on"
        return 1
    fi
}

while [ $# -gt 0 ]; do
    goes_on || exit 1
    in=${1%/*} count=0
    for path in "$@"; do
        if [ "${path%/*}" != "$in" ]; then break; fi
        count=$((count + 1))
    done
    directory "$in" "$count" "$@"
    shift "$count"
done
