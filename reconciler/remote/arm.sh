# usage: arm.sh DEPLOY_DIR MODE LEASE RUN ENTERING BACK PROJECT SECONDS LASTS SILENCE SOCKET HOME WATCH   (always fenced)
# Puts a dead man's lease on the target before something is switched: SECONDS after the last sign of life from the pass
# the host goes back to BACK alone, by the steps on standard input (watch.sh says what they and the MODE mean). Proves
# that somebody listens: the watchdog in a keeper, or (HOME none) one that is started here from the text WATCH.
# Says "home keeper" or "home detached".
mode=$2 lease=$3 run=$4 entering=$5 back=$6 project=$7 seconds=$8 lasts=$9
shift 9
silence=$1 socket=$2 home=$3 watch=$4
base=$own/watchdog
mkdir -p "$base/lease.new"
cat >"$base/lease.new/steps"
if [ ! -d "$dir/releases/$back" ]; then die 70 "releases/$back is gone"; fi
cat >"$base/lease.new/about" <<END
mode $mode
lease $lease
run $run
entering $entering
back $back
project $project
seconds $seconds
silence $silence
since $(date -u +%Y-%m-%dT%H:%M:%S)
boot $(cat /proc/sys/kernel/random/boot_id)
ends $(($(uptime_seconds) + lasts))
END
printf '%s\n' "$(($(uptime_seconds) + seconds + 1))" >"$base/lease.new/until"
[ -p "$base/bell" ] || mkfifo "$base/bell"
ours "$base"
durable "$base/lease.new/steps" "$base/lease.new/about" "$base/lease.new/until" "$base/lease.new"
if [ -d "$base/lease" ]; then mv -T "$base/lease" "$base/given_up.$$"; fi
mv -T "$base/lease.new" "$base/lease"
durable "$base"
rm -rf "$base/given_up.$$"

# Opening the pipe waits for a reader.
# shellcheck disable=SC2016 # its own argument
ring() { timeout "$1" sh -c ': >"$1"' sh "$base/bell"; }

if [ "$home" = none ] || ! ring 3; then
    setsid sh -c "$watch" reconciler-watchdog "$dir" "$socket" detached </dev/null >/dev/null 2>&1 7>&- 8>&- 9>&- &
    ring 5 || die 70 "no watchdog could be started on this host: nothing would go back if this pass died now"
fi
if flock -n "$base/detached" true; then echo home keeper; else echo home detached; fi
