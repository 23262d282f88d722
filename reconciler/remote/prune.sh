# usage: prune.sh DEPLOY_DIR KEEP_RECORDS releases/<id>... files/<sha256>...
# Removes what the controller names, and nothing that isn't below releases/ or .reconciler/files/; with a release goes its
# sealed copy. The seals go first: what has none isn't expected to be whole when this dies in the middle.
keep=$2
shift 2
cd "$own" # find wants to be able to come back to where it began
for name in "$@"; do
    case $name in
    */*/* | *..*) die 70 "not a name to prune: $name" ;;
    releases/?*) rm -f "$own/sealed/${name#releases/}.seal" "$own/sealed/${name#releases/}.tar" ;;
    files/?*) ;;
    *) die 70 "not a name to prune: $name" ;;
    esac
done

gone() {
    [ -d "$1" ] || return 0
    find "$1" -type d -exec chmod u+rwx {} +
    rm -rf "$1"
}
for name in "$@"; do case $name in files/*) gone "$own/$name" ;; esac; done
for name in "$@"; do case $name in releases/*) gone "$dir/$name" ;; esac; done
for kind in records evidence set_aside; do
    [ -d "$own/$kind" ] || continue
    # shellcheck disable=SC2012 # run names are ours: no newline in them
    ls -1 "$own/$kind" | sort -r | tail -n "+$((keep + 1))" | while read -r old; do
        # Another's directory among what was set aside stays: its owner has to see to it.
        find "${own:?}/$kind/$old" -type d -exec chmod u+rwx {} + 2>/dev/null || true
        rm -rf "${own:?}/$kind/$old" 2>/dev/null || [ "$kind" = set_aside ]
    done
done
