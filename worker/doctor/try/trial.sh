#!/bin/sh
# What a trial jail does against its host. It prints `trial NAME RESULT`, and ends with `trial end`.
# usage: trial.sh PID-OF-THE-HOST MOST-MEMORY MOST-PROCESSES SECONDS-OF-CPU DISK-BLOCKS   (blocks of 64 KiB; 0: no disk limit)
pid=$1 memory=$2 processes=$3 seconds=$4 blocks=$5

try() {
  name=$1
  shift
  if "$@" >/dev/null 2>&1; then echo "trial $name done"; else echo "trial $name refused"; fi
}

read_device() {
  mknod /trial/device c 1 1 && dd if=/trial/device of=/dev/null bs=16 count=1
}

try rename hostname intruder.example
try mount mount -t tmpfs tmpfs /mnt
try signal kill -0 "$pid"
try device read_device
# Not zeros, which ZFS does not keep.
[ "$blocks" -eq 0 ] || try disk dd if=/dev/urandom of=/trial/big bs=65536 count="$blocks"

# times(1p) of the shell that was busy.
/bin/sh -c 'trap "echo trial cpu; times; exit" TERM; (sleep "$1"; kill -TERM $$) & while :; do :; done' cpu "$seconds"

# Each in a shell of its own, which the refusal may end.
(
  text=0123456789abcdef held=16
  while [ "$held" -lt "$memory" ]; do
    text=$text$text held=$((held * 2))
    echo "trial memory $held"
  done
)
(
  count=0
  while [ "$count" -lt "$processes" ]; do
    sleep 1000 &
    count=$((count + 1))
    echo "trial processes $count"
  done
)
echo "trial end"
