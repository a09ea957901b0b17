#!/bin/sh
# The floor: a jail made by hand from a filled world, with nothing started that is not needed and nothing proven.
# Starts mkdir, mount, ip, sed and runc only. `up` is what is timed; `down` is not.
#
#   by-hand.sh up|down NAME ADDRESS
#
# From the environment: BENCH_DIR (where all of it goes), BENCH_TREE (the filled world), BENCH_BRIDGE, BENCH_GATEWAY, and
# BENCH_CONFIG (an OCI config.json with @NAME@ and @ROOT@ where the jail's own go).
set -eu
verb=$1 name=$2 address=${3-}
jail=$BENCH_DIR/$name
veth=bh$name

case $verb in
  up)
    mkdir -p "$jail/upper" "$jail/work" "$jail/root"
    mount -i -t overlay -o "nodev,nosuid,lowerdir=$BENCH_TREE,upperdir=$jail/upper,workdir=$jail/work" overlay "$jail/root"
    ip netns add "bh$name"
    ip -batch - <<BATCH
link add $veth type veth peer name eth0 netns bh$name
link set $veth master $BENCH_BRIDGE up
BATCH
    ip -netns "bh$name" -batch - <<BATCH
link set lo up
address add $address dev eth0
link set eth0 up
route add default via $BENCH_GATEWAY
BATCH
    sed -e "s|@NAME@|$name|g" -e "s|@ROOT@|$jail/root|g" "$BENCH_CONFIG" >"$jail/config.json"
    runc --root "$BENCH_DIR/runc" run --detach --bundle "$jail" "$name" </dev/null >/dev/null 2>&1
    ;;
  down)
    runc --root "$BENCH_DIR/runc" delete --force "$name" || true
    ip link delete "$veth" || true
    ip netns delete "bh$name" || true
    umount "$jail/root" || true
    rm -rf "$jail"
    ;;
esac
