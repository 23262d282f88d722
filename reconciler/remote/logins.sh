# usage: logins.sh DEPLOY_DIR
# Who is and was logged in, in the words of whichever programs are here. Times are UTC. What can't be read is left out.
export TZ=UTC0
if said=$(last -w --time-format iso 2>/dev/null | head -n 300) && [ -n "$said" ]; then line last "$said"; fi
if said=$(who 2>/dev/null) && [ -n "$said" ]; then line who "$said"; fi
if sessions=$(loginctl list-sessions --no-legend 2>/dev/null) && [ -n "$sessions" ]; then
    # Without our own, which is no person's.
    ids=$(printf '%s\n' "$sessions" | awk -v own="${XDG_SESSION_ID:-}" '$1 != own && NR <= 50 { print $1 }')
    # shellcheck disable=SC2086 # one word for each session
    if [ -n "$ids" ] && said=$(loginctl show-session $ids -p Name -p Timestamp -p TTY -p RemoteHost -p Service \
        -p Class 2>/dev/null); then line loginctl "$said"; fi
fi
