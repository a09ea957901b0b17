#!/bin/sh
# jail(8) runs this before a jail with a network of its own starts (exec.prestart). When a worker starts the jail, its
# epair(4) is there already; at boot nobody else makes it. All arguments are names and numbers of Provost's own making.
# Absolute paths: with exec.clean there is no /sbin in PATH.
set -e
host_end=$1 jail_end=$2 host_mac=$3 jail_mac=$4 bridge=$5 mark=$6

# Whole when its last step is done. One that is not whole, or whose other end a dying jail of this name still has, is made
# again: either end takes the other with it, epair(4).
if /sbin/ifconfig "$jail_end" >/dev/null 2>&1 && /sbin/ifconfig "$bridge" | /usr/bin/grep -q "member: $host_end "; then exit 0; fi
if /sbin/ifconfig "$host_end" >/dev/null 2>&1; then /sbin/ifconfig "$host_end" destroy; fi
# Both ends have the bridge's MTU from the start: addm would give it to one of them, or the first one's to the bridge, if_bridge(4).
mtu=$(/sbin/ifconfig "$bridge" | /usr/bin/sed -n 's/.* mtu \([0-9]*\).*/\1/p')
made=$(/sbin/ifconfig epair create description "$mark")
/sbin/ifconfig "$made" name "$host_end" >/dev/null
/sbin/ifconfig "${made%a}b" name "$jail_end" >/dev/null
/sbin/ifconfig "$host_end" ether "$host_mac"
/sbin/ifconfig "$jail_end" ether "$jail_mac"
/sbin/ifconfig "$host_end" mtu "$mtu"
/sbin/ifconfig "$jail_end" mtu "$mtu"
/sbin/ifconfig "$host_end" up
/sbin/ifconfig "$bridge" addm "$host_end"
