# Before every script that changes something: $2 is the fencing generation that the lock gave to its pass. It runs only
# while that is the newest, and a newer one is given out only when it has ended: what it holds until then is the lock on
# .reconciler/fence (fd 8, which its children inherit). What it is about to do and has done goes to the journal.
# The generation is taken out of the arguments. Exit code 76: another has taken over.
generation=$2
shift 2
set -- "$dir" "$@"
[ -w "$own" ] || die 70 "can't write to $own as $(id -un); log in as its owner, $(stat -c %U "$own")"
exec 8>>"$own/fence"
flock -s 8
newest=
read -r newest <"$own/generation" || true
if [ "$newest" != "$generation" ]; then
    die 76 "another has taken over ($(tr '\n' ' ' <"$own/holder" || true)); nothing was done"
fi
if [ -d "$own/watchdog/reverting" ]; then die 76 "the target's own watchdog is going back; nothing was done"; fi
acting
journal begin "$0" "$@"
leaving() { :; }
ended() {
    status=$?
    trap - EXIT
    leaving
    journal end "$0" "$status"
    exit "$status"
}
trap ended EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
