# usage: watch.sh DEPLOY_DIR SOCKET keeper|detached
# The watchdog (P8): sleeps until a pass arms it (arm.sh), and goes back by itself when the pass gives no sign of life
# for too long. In a keeper it never ends, and the engine starts it again after a reboot; detached it ends with the lease.
# All that a revert needs is here: no network, no registry, no key, no value of an env key that isn't in the release.
# A lease is the directory watchdog/lease: `about`, `steps`, and `until`, in seconds since the boot that `about` names: a
# clock that is set moves neither. Another boot ends every lease: whoever armed it is cut off.
#   mode switch   when it runs out the host goes back; with silence "keep" only where a container isn't well
#   mode soak     when it runs out, and every so often until it ends, containers are looked at; back where one isn't well
# It is claimed by a rename to watchdog/reverting, which nobody else survives (fenced.sh), and becomes watchdog/outcome.
# Steps: `gone SERVICE`, `wait SERVICE CONDITION SECONDS`, `up SERVICE...`.
socket=$2 home=$3
export DOCKER_HOST="unix://$socket"
base=$own/watchdog
trap 'exit 0' HUP INT TERM

# Nothing where the lease is gone: it may be confirmed at any moment.
field() { sed -n "s/^$1 //p" "$2/about" 2>/dev/null || true; }

# Seconds that the lease has left; none where another boot ended it.
left() {
    if [ "$(field boot "$base/lease")" = "$(cat /proc/sys/kernel/random/boot_id)" ]; then
        echo $(($(cat "$base/lease/until" 2>/dev/null || echo 0) - $(uptime_seconds)))
    else
        echo 0
    fi
}

# Sleeps until the bell is rung (a reader of the pipe sees its writer come and go), or for $1 seconds.
listen() {
    if [ -n "$1" ]; then timeout "$1" cat "$base/bell" >/dev/null 2>&1 & else cat "$base/bell" >/dev/null 2>&1 & fi
    wait $! || true
}

tell() {
    printf '%s %s\n' "$(date +%s)" "$*" >>"$base/reverting/told"
    durable "$base/reverting/told"
}

# usage: listed FORMAT [FILTER...]   the containers of the project
listed() {
    format=$1
    shift
    docker ps -a --no-trunc --filter "label=com.docker.compose.project=$project" \
        --filter label=com.docker.compose.oneoff=False "$@" --format "$format"
}

# One line for each: service, state, and the engine's words on how it is.
containers() { listed '{{.Label "com.docker.compose.service"}} {{.State}} {{.Status}}'; }

# Those that aren't well, in one line. What a person stopped isn't ill: that ends with 0, 137 or 143. Nor is what ran when
# the power was cut, and was being replaced: the engine notes 255 then, and doesn't start it again. With $1, a moment
# of the wall clock, those made since then are ill, too, that the engine had to start again: between two starts they run.
ill() {
    if [ -n "$1" ]; then
        listed '{{.ID}}' | xargs -r docker inspect --format '{{.Name}} {{.RestartCount}} {{.Created}}' |
            while read -r name restarts created; do
                if [ "$restarts" -gt 0 ] && expr "at $created" '>=' "at $1" >/dev/null; then
                    printf '%s (%s restarts) ' "${name#/}" "$restarts"
                fi
            done
    fi
    containers | while read -r service state status; do
        case "$state $status" in
        dead*) ;; # by its health check it may be unhealthy, too
        *'(unhealthy)'* | restarting*) printf '%s (%s) ' "$service" "$status" ;;
        exited*'Exited (0)'* | exited*'Exited (137)'* | exited*'Exited (143)'* | exited*'Exited (255)'*) ;;
        exited*) printf '%s (%s) ' "$service" "$status" ;;
        esac
    done
}

# Those that were made and never came to run, or whose end or removal was cut short: the release isn't to blame for that,
# and yet it doesn't serve.
unfinished() {
    containers | while read -r service state status; do
        case "$state $status" in created* | dead* | removing* | exited*'Exited (255)'*) printf '%s ' "$service" ;; esac
    done
}

# Waits until the engine has judged every container by its health check once, for $1 seconds at most.
settled() {
    left=$1
    while [ "$left" -gt 0 ]; do
        case "$(containers)" in *'(health: starting)'*) sleep 1 ;; *) return 0 ;; esac
        left=$((left - 1))
    done
}

# Whether the service is as another needs it: asked every second, as a shell can't wait for an event.
wait_for() {
    left=$3
    while :; do
        case "$2 $(containers | while read -r service rest; do if [ "$service" = "$1" ]; then printf '%s;' "$rest"; fi; done)" in
        'service_healthy running'*'(healthy);' | 'service_completed_successfully exited'*'(0)'*) return 0 ;;
        esac
        if [ "$left" -le 0 ]; then return 1; fi
        left=$((left - 1))
        sleep 1
    done
}

# Says the ports that the engine refuses in the text on standard input although no container has them: one that died
# while it started a container holds them for nobody until it is restarted (docs/crash-safety.md).
nobodys() {
    sed -n 's/.*Bind for .*:\([0-9]*\) failed: port is already allocated.*/\1/p' | sort -u | while read -r port; do
        if [ -z "$(docker ps -q --filter "publish=$port" --filter "publish=$port/udp")" ]; then printf '%s ' "$port"; fi
    done
}

# The same of what the engine said when it last couldn't start a container of the project.
stuck() { listed '{{.ID}}' | xargs -r docker inspect --format '{{.State.Error}}' | nobodys; }

# Compose for these services. It is called again where it fails, as a pass does it (cycle/apply.py): the engine may be
# busy still with the container that has to go.
bring_up() {
    for attempt in 1 2 3; do
        if [ "$attempt" -gt 1 ]; then
            sleep 2 &
            wait $!
        fi
        if said=$(cd "$dir" && compose up -d --no-deps --no-build --pull never "$@" 2>&1 </dev/null); then return 0; fi
    done
    port=$(printf '%s\n' "$said" | nobodys)
    if [ -n "$port" ]; then tell "the engine holds port ${port% } for a container that is gone, until it is restarted"; fi
    return 1
}

follow() {
    while read -r what service more; do
        case $what in
        gone)
            tell "removing $service, which $back doesn't have"
            for each in $(listed '{{.ID}}' --filter "label=com.docker.compose.service=$service"); do
                docker stop "$each" >/dev/null && docker rm "$each" >/dev/null || return 1
            done
            ;;
        wait)
            # shellcheck disable=SC2086 # condition and seconds
            wait_for "$service" $more || tell "$service isn't ${more% *} in time; going on"
            ;;
        up)
            tell "bringing up $service $more"
            # shellcheck disable=SC2086 # names of services
            bring_up "$service" $more || return 1
            ;;
        esac
    done <"$base/reverting/steps"
}

# What is claimed is finished, whoever claimed it; one watchdog at a time, and no pass meanwhile.
go_back() {
    exec 6>>"$base/busy"
    flock 6
    if [ ! -d "$base/reverting" ]; then
        exec 6>&-
        return 0
    fi
    back=$(field back "$base/reverting") project=$(field project "$base/reverting")
    (
        next_generation 6>&-
        exec 8>>"$own/fence"
        flock 8
        # Between the two a pass may have come and looked: it must not go on from what it saw.
        [ "$(cat "$own/generation")" = "$generation" ] || exit 4
        docker version >/dev/null 2>&1 || exit 3
        entering=$(field entering "$base/reverting") mode=$(field mode "$base/reverting")
        if [ "$(field silence "$base/reverting")" = keep ]; then settled 30; fi
        sick=
        if [ "$mode" = switch ]; then sick=$(field since "$base/reverting"); fi
        sick=$(ill "$sick")
        stuck=$(stuck)
        tell "no sign of life from the pass for $(field seconds "$base/reverting") s; ${sick:-every container is well}"
        if [ -z "$sick$stuck$(unfinished)" ] && [ "$(field silence "$base/reverting")" = keep ]; then
            result=kept
        else
            tell "going back from $entering to $back"
            point "releases/$back" "$dir/current"
            durable "$dir"
            if follow; then
                result=reverted
                settled 60
                left=$(ill '')
                if [ -n "$left" ]; then result=revert_failed; fi
                tell "$back serves; ${left:-every container is well}"
            else
                result=revert_failed
                tell "going back failed"
            fi
        fi
        printf 'result %s\nsick %s\nstuck %s\nat %s\n' "$result" "$sick" "$stuck" "$(date +%s)" >>"$base/reverting/about"
        rm -rf "$base/outcome"
        ours "$base"
        durable "$base/reverting/about" "$base/reverting"
        mv -T "$base/reverting" "$base/outcome"
        durable "$base"
    ) && status=0 || status=$?
    exec 6>&-
    return "$status"
}

if [ "$home" = detached ]; then
    exec 5>>"$base/detached"
    flock -n 5 || exit 0
fi
while :; do
    if [ ! -w "$own" ]; then
        if [ "$home" = detached ]; then exit 0; fi
        sleep 60 & # the directory was moved away
        wait $!
        continue
    fi
    mkdir -p "$base"
    if [ ! -p "$base/bell" ]; then
        mkfifo "$base/bell" 2>/dev/null || true
        ours "$base"
    fi
    if [ -d "$base/reverting" ]; then
        # An engine that isn't there yet: in a keeper another start mounts its new socket, elsewhere it is asked again.
        if ! go_back; then
            if [ "$home" = keeper ]; then exit 1; fi
            sleep 1
        fi
        continue
    fi
    if [ ! -d "$base/lease" ]; then
        if [ "$home" = detached ]; then exit 0; fi
        listen ''
        continue
    fi
    left=$(left)
    if [ "$left" -gt 0 ]; then
        listen "$left"
        continue
    fi
    project=$(field project "$base/lease") mode=$(field mode "$base/lease")
    if [ "$mode" = soak ]; then
        if [ "$(uptime_seconds)" -ge "$(field ends "$base/lease")" ]; then
            mv -T "$base/lease" "$base/ended.$$" 2>/dev/null && rm -rf "$base/ended.$$"
            continue
        fi
        sick=$(ill '') || sick=
        if [ -n "$sick" ]; then
            sleep 5 & # a moment between two starts is no illness
            wait $!
            sick=$(ill '') || sick=
            if [ "$(left)" -gt 0 ]; then continue; fi # a pass came meanwhile
        fi
        if [ -z "$sick" ] && [ "$(field silence "$base/lease")" = keep ]; then
            renew
            continue
        fi
    fi
    mv -T "$base/lease" "$base/reverting" 2>/dev/null || true
done
