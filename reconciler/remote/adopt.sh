# usage: adopt.sh DEPLOY_DIR RUN FILE...
# Moves what a hand-made deployment left in the way aside. Nothing is deleted, and no mounted file is named here.
run=$2
shift 2
mkdir -p "$own/adopted/$run"
chmod 0700 "$own/adopted" "$own/adopted/$run"
for file in "$@"; do
    case $file in "$dir"/*) ;; *) die 70 "$file is outside $dir" ;; esac
    if [ -e "$file" ] || [ -L "$file" ]; then mv "$file" "$own/adopted/$run/"; fi
done
