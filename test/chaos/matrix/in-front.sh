#!/bin/sh
# Stands in front of a command and kills its worker: `stuck`, and waits in its place; `alone`, and becomes it; `cut`, after
# it has killed the command.
how=$1 worker=$2 seconds=$3
shift 3
case $how in
stuck) kill -9 "$worker"; exec sleep 600 ;;
alone) kill -9 "$worker"; exec "$@" ;;
cut) timeout --signal=KILL "$seconds" "$@"; kill -9 "$worker" ;;
esac
