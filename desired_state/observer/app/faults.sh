#!/bin/sh
# What a bad release does. The build bakes in OBSERVER_FAULT; `capture`, `web` and `init` source this file.
#
#   none        a good release
#   unhealthy   web answers /healthz with 500 and says why
#   crash       capture and web exit 3 at once
#   crash5      capture and web work, become healthy, and exit 3 after 5 s
#   fatal-log   keeps serving, and capture logs a FATAL line after its first sample
#   memory-hog  capture grows to 92 % of its memory limit and stays there
#   slow-start  web becomes healthy 60 s after its start, later than its health check grants
#   exit0       capture exits 0 after its first sample: a clean exit of something that should never exit
#   init-fails  init exits 7, so nothing that depends on it may start
#   deaf        capture and web ignore SIGTERM, so stopping them costs the whole grace period

say() { printf '%s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2"; }

fault() { [ "$OBSERVER_FAULT" = "$1" ]; }

# Sleeps in the background, because a shell runs its traps during `wait`, not during a command.
pause() {
    sleep "$1" &
    wait "$!"
}

answer_to_sigterm() {
    if fault deaf; then
        trap '' TERM
    else
        trap 'say INFO "$1: stopping" || :; exit 0' TERM INT # nobody may read its log by then
    fi
}

crash() {
    say ERROR "$1: the sensor bus is gone: no such device"
    exit 3
}

# The content of a cgroup file, for version 2 or version 1.
cgroup_value() { cat "/sys/fs/cgroup/$1" 2>/dev/null || cat "/sys/fs/cgroup/memory/$2"; }

# Files in /dev/shm are memory that nothing can reclaim, and this way it grows in small, exact steps. What is left is
# enough for health checks (the engine's own `runc` is charged for each), so nothing is killed.
hog_memory() {
    limit=$(cgroup_value memory.max memory.limit_in_bytes)
    while [ "$(cgroup_value memory.current memory.usage_in_bytes)" -lt $((limit * 92 / 100)) ]; do
        dd if=/dev/zero bs=256k count=1 2>/dev/null >>/dev/shm/hog
    done
}
