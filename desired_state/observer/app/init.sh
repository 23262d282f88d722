#!/bin/sh
# Runs to its end before capture and web start: makes the spool and the schema marker. Safe to run again.
set -eu
# shellcheck source=desired_state/observer/app/faults.sh
. /app/faults.sh

SCHEMA=1

if fault init-fails; then
    say ERROR "init: migration 0002 failed: duplicate column name"
    exit 7
fi
mkdir -p /data/state/spool
found=0
if [ -f /data/state/schema ]; then found=$(cat /data/state/schema); fi
if [ "$found" -gt "$SCHEMA" ]; then
    say ERROR "init: the data has schema $found, and this release knows $SCHEMA"
    exit 4
fi
if [ "$found" -lt "$SCHEMA" ]; then
    echo "$SCHEMA" >/data/state/schema.new
    mv /data/state/schema.new /data/state/schema
fi
say INFO "init: schema $SCHEMA is ready (was $found)"
