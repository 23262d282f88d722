# usage: prune.sh DEPLOY_DIR KEEP_RECORDS releases/<id>... files/<sha256>...
# Removes what the controller names, and nothing that isn't below releases/ or .reconciler/files/.
keep=$2
shift 2
for name in "$@"; do
    case $name in
    */*/* | *..*) die 70 "not a name to prune: $name" ;;
    releases/?*) path=$dir/$name ;;
    files/?*) path=$own/$name ;;
    *) die 70 "not a name to prune: $name" ;;
    esac
    [ -d "$path" ] || continue
    find "$path" -type d -exec chmod u+rwx {} +
    rm -rf "$path"
done
for kind in records evidence; do
    [ -d "$own/$kind" ] || continue
    # shellcheck disable=SC2012 # run names are ours: no newline in them
    ls -1 "$own/$kind" | sort -r | tail -n "+$((keep + 1))" | while read -r old; do rm -rf "${own:?}/$kind/$old"; done
done
