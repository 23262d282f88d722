# usage: evidence.sh DEPLOY_DIR RUN whole|state CONTAINER_ID NAME...
# Saves what a container said and was, before it is replaced. It may hold secrets: its owner alone can read it. Of "state"
# it keeps what isn't configuration: there env values may not touch the disk.
run=$2 what=$3
shift 3
inspection() {
    if [ "$what" = whole ]; then docker inspect "$1"; else docker inspect --format '{{json .State}}' "$1"; fi
}
umask 077
mkdir -p "$own/evidence/$run"
while [ $# -ge 2 ]; do
    docker logs --timestamps --tail 20000 "$1" >"$own/evidence/$run/$2.log" 2>&1 || true # a vanished one leaves its error
    inspection "$1" >"$own/evidence/$run/$2.json" 2>&1 || true
    shift 2
done
