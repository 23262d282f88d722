#!/bin/sh
# One HTTP request on stdin, its answer on stdout.
#
#   GET  /healthz   200, or 500 and 503 with the reason in the first line
#   GET  /version   the tag of this release
#   GET  /latest    the newest sample
#   POST /uploads   stores the body; needs `Authorization: Bearer <API_TOKEN>`
set -eu
# shellcheck source=desired_state/observer/app/faults.sh
. /app/faults.sh

STALE_AFTER=10 # seconds without a sample
SLOW_START=60  # seconds

return_code() {
    printf 'HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s\n' \
        "$1" $((${#2} + 1)) "$2"
    case $1 in 5*) say ERROR "web: $path: $1: $2" >&2 ;; esac
    exit 0
}

healthz() {
    now=$(date +%s)
    if fault unhealthy; then return_code '500 Internal Server Error' 'observer: database is locked'; fi
    if fault slow-start && [ $((now - WEB_STARTED)) -lt "$SLOW_START" ]; then
        return_code '503 Service Unavailable' 'observer: warming up'
    fi
    [ -f /data/state/schema ] || return_code '503 Service Unavailable' 'observer: no schema'
    [ -f /data/state/heartbeat ] || return_code '503 Service Unavailable' 'observer: no sample yet'
    age=$((now - $(cat /data/state/heartbeat)))
    if [ "$age" -gt "$STALE_AFTER" ]; then
        return_code '503 Service Unavailable' "observer: the last sample is $age s old"
    fi
    return_code '200 OK' 'observer: ok'
}

latest() {
    sample=$(tail -n 1 /data/state/spool/current.csv 2>/dev/null || true)
    if [ -z "$sample" ]; then
        newest=$(find /data/archive -name '*.csv.gz' | sort | tail -n 1)
        if [ -n "$newest" ]; then sample=$(zcat "$newest" | tail -n 1); fi
    fi
    [ -n "$sample" ] || return_code '404 Not Found' 'observer: no sample yet'
    return_code '200 OK' "$sample"
}

upload() {
    if [ -z "${API_TOKEN:-}" ] || [ "$authorization" != "Bearer $API_TOKEN" ]; then
        return_code '401 Unauthorized' 'observer: a token is needed'
    fi
    case $length in '' | *[!0-9]* | ???????*) return_code '400 Bad Request' 'observer: send up to 999999 bytes' ;; esac
    name=$(date -u +%Y%m%d_%H%M%S)-$$
    head -c "$length" >"/data/uploads/.$name.part"
    mv "/data/uploads/.$name.part" "/data/uploads/$name"
    return_code '201 Created' "$name"
}

path=/ authorization='' length=''
IFS=' ' read -r method path _ || exit 0
carriage_return=$(printf '\r')
while IFS= read -r header; do
    header=${header%"$carriage_return"}
    case $header in
        '') break ;;
        [Aa]uthorization:\ *) authorization=${header#*: } ;;
        [Cc]ontent-[Ll]ength:\ *) length=${header#*: } ;;
    esac
done

case "$method $path" in
    'GET /healthz') healthz ;;
    'GET /version') return_code '200 OK' "$OBSERVER_TAG" ;;
    'GET /latest') latest ;;
    'POST /uploads') upload ;;
    *) return_code '404 Not Found' 'observer: try /healthz, /version or /latest' ;;
esac
