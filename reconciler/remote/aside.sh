# shellcheck shell=sh
# For scripts that move what somebody left in our part of deploy_dir: their second argument names the pass.
# Paths come in one line: a backslash is \\ and a newline is \n. $path is one as it is, $shown as it came, $above the
# directory that holds it.
shelf=$own/set_aside/$2
path='' shown='' above=.

# $path and what goes with it, for a plain name at the top of deploy_dir.
at_top() { path=$1 shown=$1 above=.; }

raw() {
    path=$(printf '%bx' "$1")
    path=${path%x}
}

ours_alone() { if [ "$(id -u)" -eq 0 ]; then chown -h "$(stat -c %u:%g "$own")" "$@"; fi; }

# The real directory that holds $path, as $above; fails where a part of it is a link, or the path leads out.
safe() {
    case "/$path/" in *//* | */../* | */./*) return 1 ;; esac
    above=. rest=$path
    while [ "$rest" != "${rest#*/}" ]; do
        above=$above/${rest%%/*} rest=${rest#*/}
        if [ -L "$above" ]; then
            printf '%s is a link\n' "${above#./}" >&2
            return 1
        fi
    done
}

# Lets us change what is in the directory $1, until this shell or subshell ends: its owner may lack the right. One only.
opens() {
    if [ -w "$1" ]; then return 0; fi
    opened=$1
    opened_bits=$(stat -c %a "$1") || return 1
    trap 'chmod "$opened_bits" "$opened"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    chmod u+w "$1"
}

# A free place on the shelf for $path, as $place, and a line on it in the list: mode, owner, size, time, sha256, path.
noted() {
    place=$shelf/files/$path count=1
    while [ -e "$place" ] || [ -L "$place" ]; do
        place=$shelf/files/$path.$count count=$((count + 1))
    done
    (umask 077 && mkdir -p "${place%/*}") || return 1
    if [ ! -e "$shelf/list" ]; then
        (umask 077 && : >"$shelf/list") && ours_alone "$own/set_aside" "$shelf" "$shelf/files" "$shelf/list" || return 1
    fi
    sum=-
    if [ -f "$path" ] && [ ! -L "$path" ]; then
        if [ "$(stat -c %s "./$path")" -le 67108864 ]; then sum=$(sha256sum <"./$path" 2>/dev/null) || sum='?'; fi
    fi
    # shellcheck disable=SC2016
    stat -c '%a %u:%g %s %Y' "./$path" | tr '\n' ' ' >>"$shelf/list" || return 1
    printf '%s %s\n' "${sum%% *}" "$shown" >>"$shelf/list" || return 1
}

# Moves $path to the shelf as it is: a link as a link, a directory with everything in it.
set_aside() {
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then return 0; fi
    noted || return 1
    opens "$above" || return 1
    bits=
    if [ -d "$path" ] && [ ! -L "$path" ] && [ ! -w "$path" ]; then # its owner can't move it without
        bits=$(stat -c %a "./$path")
        chmod u+w "./$path" || return 1
    fi
    mv -T "./$path" "$place" || return 1
    if [ -n "$bits" ]; then chmod "$bits" "$place"; fi
}
