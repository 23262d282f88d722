# usage: sweep.sh DEPLOY_DIR look|remove AGE SIZE yes|no SECONDS HOLDER REMOVER
# Measures temp/ and (yes) logs/. With "remove", the regular files of temp/ go that are older than AGE seconds, and then
# the oldest until the rest has no more than SIZE bytes ("-": no such limit). Nothing but temp/ is ever touched.
# REMOVER is the text of sweep_files.sh. It stops after SECONDS, and as soon as another than HOLDER has the lock.
# What stands in the way of a single file is said on standard error.
mode=$2 age=$3 size=$4 logs=$5 seconds=$6 holder=$7 remover=$8
for tool in awk env find sort stat; do
    command -v "$tool" >/dev/null 2>&1 || die 70 "there is no $tool command on this host, to measure temp/ and logs/"
done

# find in this directory, less what is mounted in it: -xdev alone goes into a bind mount of the same file system.
found() {
    while read -r _ _ _ _ point _; do
        case $point in *\\*) point=$(printf '%b' "$(printf '%s' "$point" | sed 's/\\/\\0/g')") ;; esac # \040 is a space
        case $point in "$root"/*) ;; *) continue ;; esac
        set -- -path "$(printf '%s' ".${point#"$root"}" | sed 's/[][*?\\]/\\&/g')" -prune -o "$@"
    done </proc/self/mountinfo
    find . -xdev "$@"
}

# A line for each name of a regular file, oldest first: time of modification, inode, length, blocks. Never the name.
files() { found -type f -exec stat -c '%Y %i %s %b' {} + | sort -n -k 1,1 -k 2,2; }

# What the lines of files() come to: files, bytes; those of them that are too old; those over the size; time and inode
# of the youngest that has to go. A sparse file takes what it takes, and not its length; one with two names takes it once.
# shellcheck disable=SC2016 # awk's own variables
account='
    { takes = $3 < $4 * 512 ? $3 : $4 * 512; files++ }
    n && $2 == inode[n] { names[n]++; next }
    { n++; time[n] = $1; inode[n] = $2; names[n] = 1; bytes[n] = takes; total += takes }
    END {
        left = total
        for (i = 1; i <= n && age != "-" && now - time[i] > age; i++) { old += names[i]; left -= bytes[i] }
        over = left
        for (; i <= n && size != "-" && left > size; i++) { much += names[i]; left -= bytes[i] }
        printf "%.0f %.0f %.0f %.0f %.0f %.0f ", files, total, old, total - over, much, over - left
        print time[i - 1], inode[i - 1]
    }'
# shellcheck disable=SC2016
account_of_the_due='
    $1 < time || $1 == time && $2 <= inode {
        files++
        if ($2 != last) bytes += $3 < $4 * 512 ? $3 : $4 * 512
        last = $2
    }
    END { printf "%.0f %.0f", files, bytes }'

sweep() {
    now=$(date +%s)
    # shellcheck disable=SC2046 # numbers
    set -- $(files | awk -v now="$now" -v age="$age" -v size="$size" "$account")
    line temp "$1 $2"
    line expired "$3 $4"
    line surplus "$5 $6"
    if [ "$mode" = look ] || [ "$(($3 + $5))" -eq 0 ]; then return 0; fi
    time=$7 inode=$8
    if [ "$age" = - ]; then emptied=$((now - 86400)); else emptied=$((now - age)); fi
    # What is surely too young isn't even looked at again; which of the others have to go, the remover sees.
    minutes=$(((now - time) / 60 - 2))
    mount=$(mount_id)
    [ -n "$mount" ] || die 70 "this kernel doesn't tell one mount from another (/proc/self/fdinfo): nothing was removed"
    set -- -exec sh -c "$remover" reconciler-sweep_files \
        "$dir" "$root" "$mount" "$time" "$inode" "$emptied" "$(($(date +%s) + seconds))" "$holder" {} +
    if [ "$minutes" -gt 0 ]; then set -- -mmin "+$minutes" "$@"; fi
    found -type f "$@" || true # it fails where the remover said why
    line remaining "$(files | awk -v time="$time" -v inode="$inode" "$account_of_the_due")"
}

# In a subshell each, as they enter what they measure.
measure() {
    status=0
    area "$1" || status=$?
    case $status in
    0) "$2" ;;
    1) ;;
    *) line "refused_$1" "$1/ is a link, can't be entered or isn't a directory: it was left alone" ;;
    esac
}
watch() { line logs "$(files | awk -v age=- -v size=- "$account" | cut -d ' ' -f 1,2)"; }

if [ "$age$size" != -- ]; then (measure temp sweep); fi
if [ "$logs" = yes ]; then (measure logs watch); fi
