#!/bin/sh
# jail(8) runs this before the first process of a jail with IPv6 on a shared interface (exec.created). While the kernel looks for
# another host that has an address, nothing can bind to it (inet6(4), tentative). The word no_dad of ifconfig(8) would spare that, but it
# is a flag of the interface, and would stay on the host's. Absolute paths: with exec.clean there is no /sbin in PATH.
interface=$1
shift

state() {
	/sbin/ifconfig "$interface" inet6 | while read -r family at rest; do
		if [ "$family" = inet6 ] && [ "$at" = "$1" ]; then echo "$rest"; fi
	done
}

# A tenth of a second each; an interface without a link never ends it, and then the jail starts all the same.
left=100
for address in "$@"; do
	while [ "$left" -gt 0 ]; do
		case $(state "$address") in
		*duplicated*)
			echo "Another host on the network of $interface has $address." >&2
			exit 1
			;;
		*tentative*) ;;
		*) break ;;
		esac
		/bin/sleep 0.1
		left=$((left - 1))
	done
done
