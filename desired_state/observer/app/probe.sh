#!/bin/sh
# The engine's health check of one service: exits 0 if it is healthy, and prints what it saw.
#   probe.sh web      /healthz answers 200
#   probe.sh capture  the last sample is young
set -eu

case $1 in
    web)
        answer=$(printf 'GET /healthz HTTP/1.0\r\n\r\n' | nc -w 2 127.0.0.1 8080)
        printf '%s\n' "$answer" | tail -n 1
        case $answer in 'HTTP/1.1 200 '*) exit 0 ;; *) exit 1 ;; esac
        ;;
    capture)
        if [ ! -f /data/state/heartbeat ]; then
            echo "no sample yet"
            exit 1
        fi
        age=$(($(date +%s) - $(cat /data/state/heartbeat)))
        echo "the last sample is $age s old"
        [ "$age" -le 10 ]
        ;;
esac
