# usage: restore.sh DEPLOY_DIR RUN   (a line for each action on standard input)
#   seal SHA256 RELEASE     what follows comes from this release's sealed copy, if that is whole
#   put MODE PATH           the path gets back what the release brought; a directory with all that is in it
#   aside - PATH            the path is moved to .reconciler/set_aside/<run>/files/
#   mode MODE PATH          the path gets its mode back, and its owner where we may
#   key - -                 .reconciler/key is put back from its copy
# Says a line for each: done, anew (a put that gave the path another inode) or failed, the path and why. Each is done
# alone, and none twice: after a kill in the middle the next pass finds what is left to do.
cd "$dir"
umask 077
unpacked=$own/staging/restore
mkdir -p "$own/staging"
leaving() { find "$own/staging" -type d -exec chmod u+rwx {} + && rm -rf "$own/staging"; }
owner=$(stat -c %u .reconciler)

# The sealed copy of $release, unpacked: checked against the seal, and the seal against what the state knows of it.
unpack() {
    sealed=.reconciler/sealed/$release
    if [ ! -f "$sealed.seal" ] || [ ! -f "$sealed.tar" ]; then
        echo "the sealed copy of $release is gone" >&2
        return 1
    fi
    sum=$(sha256sum <"$sealed.seal") || return 1
    content=$(sha256sum <"$sealed.tar") || return 1
    # shellcheck disable=SC2016
    known=$(awk -v path="$sealed.tar" '$4 == path { print $1 }' "$sealed.seal") || return 1
    if [ "${sum%% *}" != "$1" ] || [ "${content%% *}" != "$known" ]; then
        echo "the sealed copy of $release was changed, too" >&2
        return 1
    fi
    mkdir -p "$unpacked/$release" && tar -xpf "$sealed.tar" -C "$unpacked/$release" && ours "$unpacked"
}

# Where $path lies in the unpacked copy, as $source.
find_source() {
    case $path in
    ".reconciler/files/"?*) source=$unpacked/$release/files/${path#.reconciler/files/} ;;
    "releases/$release") source=$unpacked/$release/release ;;
    "releases/$release/"?*) source=$unpacked/$release/release/${path#"releases/$release/"} ;;
    *) return 1 ;;
    esac
    if [ ! -e "$source" ]; then
        echo "the sealed copy of $release doesn't have it, or isn't whole" >&2
        return 1
    fi
}

put_directory() {
    if [ -d "./$path" ] && [ ! -L "./$path" ]; then
        chmod "$1" "./$path"
        return
    fi
    set_aside || return 1
    (umask 022 && mkdir -p "$above") || return 1
    opens "$above" || return 1
    mv -T "$source" "./$path" || return 1
    find "./$path" -type d -exec chmod 0555 {} + || return 1
    said=anew
}

# A container may have the file itself mounted, and would go on seeing what somebody wrote into it. So there the content
# is written back into the same inode, unless that has another name, which may be anything.
put_file() {
    if [ -f "./$path" ] && [ ! -L "./$path" ]; then
        mine=$(stat -c '%h %u' "./$path") || return 1
        if cmp -s "$source" "./$path"; then
            if [ "${mine#* }" = "$owner" ]; then
                chmod "$1" "./$path"
                return
            fi
        elif noted && cat "./$path" >"$place" 2>/dev/null; then
            touch -r "./$path" "$place" && chmod 0400 "$place" || return 1
            case $path in
            .reconciler/files/*)
                if [ "$mine" = "1 $owner" ]; then
                    chmod u+w "./$path" && cat "$source" >"./$path" && chmod "$1" "./$path"
                    return
                fi
                ;;
            esac
        else
            rm -f "$place"
            set_aside || return 1
        fi
    else
        set_aside || return 1
    fi
    opens "$above" || return 1
    chmod "$1" "$source" && mv -fT "$source" "./$path" || return 1
    said=anew
}

put_key() {
    path=.reconciler/key above=./.reconciler
    set_aside || return 1
    cat "$own/sealed/key" >"$own/key.new" && chmod 0400 "$own/key.new" && ours "$own/key.new" &&
        mv -f "$own/key.new" "$own/key"
}

put_mode() {
    if [ -L "./$path" ]; then return 1; fi
    if [ "$(stat -c %u "./$path")" != "$owner" ]; then ours_alone "./$path" || return 1; fi
    chmod "$1" "./$path"
}

act() {
    case $1 in
    seal) unpack "$2" ;;
    put)
        raw "$3" && safe && find_source || return 1
        if [ -d "$source" ]; then put_directory "$2"; else put_file "$2"; fi
        ;;
    aside) raw "$3" && safe && set_aside ;;
    mode) raw "$3" && safe && put_mode "$2" ;;
    key) put_key ;;
    *) return 1 ;;
    esac
}

newline='
'
release=
while IFS= read -r line; do
    what=${line%% *} rest=${line#* }
    how=${rest%% *} shown=${rest#* }
    if [ "$what" = seal ]; then release=$shown; fi
    if answer=$(
        exec 3>&1
        trouble=$({ said="done" && act "$what" "$how" "$shown" && printf '%s\n' "$said" >&3; } 2>&1) || {
            printf '%s\n' "${trouble%%"$newline"*}"
            exit 1
        }
    ); then
        printf '%s %s\n' "${answer%%"$newline"*}" "$shown"
    else
        printf 'failed %s\n%s\n' "$shown" "$answer"
    fi
done
