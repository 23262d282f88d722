#!/bin/sh
# Serves HTTP on 8080: each connection gets its own app/request.sh.
set -eu
# shellcheck source=desired_state/observer/app/faults.sh
. /app/faults.sh

answer_to_sigterm web
say INFO "web: $OBSERVER_TAG listens on 8080"
if fault crash; then crash web; fi
WEB_STARTED=$(date +%s)
export WEB_STARTED
nc -ll -p 8080 -e /app/request.sh &
server=$!
if fault crash5; then
    pause 5
    crash web
fi
status=0
wait "$server" || status=$?
say ERROR "web: the listener ended with status $status"
exit 1
