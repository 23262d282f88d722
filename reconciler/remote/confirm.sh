# usage: confirm.sh DEPLOY_DIR LEASE end|soak SECONDS LASTS SILENCE   (always fenced)
# Ends the LEASE (any: whatever there is): by a rename, which either this or the host's own way back wins. With "soak" what follows is the lease of
# the stabilization: looked at every SECONDS for LASTS seconds. Exit code 76: the host went back.
lease=$2 next=$3 seconds=$4 lasts=$5 silence=$6
base=$own/watchdog
if [ ! -d "$base/lease" ]; then
    [ "$lease" = any ] || die 76 "the target's own watchdog went back"
    exit 0
fi
if [ "$lease" != any ] && [ "$(sed -n 's/^lease //p' "$base/lease/about")" != "$lease" ]; then
    die 76 "another pass has put its own lease on the target"
fi
mv -T "$base/lease" "$base/confirmed.$$" 2>/dev/null || die 76 "the target's own watchdog is going back"
if [ "$next" = soak ]; then
    sed -e 's/^mode .*/mode soak/' -e "s/^seconds .*/seconds $seconds/" -e "s/^silence .*/silence $silence/" \
        -e "s/^ends .*/ends $(($(uptime_seconds) + lasts))/" "$base/confirmed.$$/about" >"$base/confirmed.$$/about.new"
    mv -f "$base/confirmed.$$/about.new" "$base/confirmed.$$/about"
    printf '%s\n' "$(($(uptime_seconds) + seconds + 1))" >"$base/confirmed.$$/until"
    ours "$base/confirmed.$$"
    durable "$base/confirmed.$$/about" "$base/confirmed.$$/until"
    mv -T "$base/confirmed.$$" "$base/lease"
fi
rm -rf "$base/confirmed.$$"
durable "$base"
