#!/bin/sh
# Samples the load into a spool file, and rotates full spool files into the archive, compressed.
set -eu
# shellcheck source=desired_state/observer/app/faults.sh
. /app/faults.sh

# Set by the mounted config file.
rotate_after=20
keep_archives=100
# shellcheck source=desired_state/observer/config/observer.conf
. /etc/observer.conf

SPOOL=/data/state/spool/current.csv

debug() { if [ "${LOG_LEVEL:-info}" = debug ]; then say DEBUG "$1"; fi; }

sample() {
    read -r one five fifteen _ </proc/loadavg
    printf '%s,%s,%s,%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$one" "$five" "$fifteen" >>"$SPOOL"
    date +%s >/data/state/heartbeat.new
    mv /data/state/heartbeat.new /data/state/heartbeat
    debug "capture: load $one"
}

# Compressed beside the archive, then renamed into it: the archive holds whole files only.
rotate() {
    name=$(date -u +%Y%m%d_%H%M%S)
    number=0
    while [ -e "/data/archive/$name-$number.csv.gz" ]; do number=$((number + 1)); done
    gzip -c "$SPOOL" >/data/temp/rotating.gz
    cp /data/temp/rotating.gz "/data/archive/.$name-$number.part"
    mv "/data/archive/.$name-$number.part" "/data/archive/$name-$number.csv.gz"
    rm -f "$SPOOL" /data/temp/rotating.gz
    say INFO "capture: archived $name-$number.csv.gz" | tee -a /data/logs/capture.log
    # shellcheck disable=SC2012 # we name these files: letters, digits and dots
    ls /data/archive | head -n "-$keep_archives" | while read -r old; do rm -f "/data/archive/$old"; done
}

answer_to_sigterm capture
say INFO "capture: $OBSERVER_TAG, a sample each ${CAPTURE_INTERVAL:-1} s, a new file after $rotate_after"
if fault crash; then crash capture; fi
started=$(date +%s)
first=yes
while :; do
    if fault memory-hog; then hog_memory; fi
    sample
    if [ "$(wc -l <"$SPOOL")" -ge "$rotate_after" ]; then rotate; fi
    if [ "$first" = yes ]; then
        first=no
        if fault fatal-log; then say FATAL "capture: frame index is corrupt at offset 4096"; fi
        if fault exit0; then
            say INFO "capture: nothing left to do"
            exit 0
        fi
    fi
    if fault crash5 && [ $(($(date +%s) - started)) -ge 5 ]; then crash capture; fi
    pause "${CAPTURE_INTERVAL:-1}"
done
