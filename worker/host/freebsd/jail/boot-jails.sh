#!/bin/sh
# The worker of Provost writes this file when it starts: what is changed here is lost.
#
# PROVIDE: provost_jails
# REQUIRE: LOGIN FILESYSTEMS jail
# BEFORE: securelevel provost_worker
# KEYWORD: nojail shutdown
#
# Starts the jails that are meant to run, each from its own file, after their limits. Not by rc.d/jail: what stands in
# /etc/jail.conf outside of all blocks would apply to them too, and a fault there or jail_list of rc.conf(5) would keep them from
# starting. Not by rc.d/rctl either: a rule of somebody else's that is wrong would end the list.
#
# rc.conf(5):
#   provost_jails_enable  YES to start them (default: NO)
#   provost_jails_boot    the directories with their files, which workers have put there

. /etc/rc.subr

name="provost_jails"
desc="Jails of Provost"
rcvar="provost_jails_enable"
start_cmd="provost_jails_start"
stop_cmd="provost_jails_stop"

load_rc_config "$name"

: "${provost_jails_enable:=NO}"
: "${provost_jails_boot:=}"

# Their files, in the order of their names.
provost_jails_files()
{
	for _directory in ${provost_jails_boot}; do
		for _file in "${_directory}"/*.conf; do
			if [ -f "${_file}" ]; then echo "${_file}"; fi
		done
	done
}

# Sets a jail's limits before its first process; without them it must not run. Rules outlive a jail, rctl(8).
provost_jails_limit()
{
	if ! [ -f "$2" ]; then return; fi
	/usr/bin/rctl -r "jail:$1" >/dev/null 2>&1
	while read -r _rule; do
		/usr/bin/rctl -a "${_rule}" || return
	done < "$2"
}

provost_jails_start()
{
	startmsg -n "Starting jails of Provost:"
	for _file in $(provost_jails_files); do
		_jail=$(/usr/bin/basename "${_file}" .conf)
		if /usr/sbin/jls -j "${_jail}" jid >/dev/null 2>&1; then continue; fi
		if ! _said=$(provost_jails_limit "${_jail}" "${_file%.conf}.limits" 2>&1); then
			echo " ${_jail} could not be started: its limits cannot be set: ${_said}"
			continue
		fi
		if _said=$(/usr/sbin/jail -c -f "${_file}" "${_jail}" 2>&1 </dev/null); then
			startmsg -n " ${_jail}"
		else
			echo " ${_jail} could not be started: ${_said}"
		fi
	done
	startmsg "."
}

# Another jail may have the name: it is ours if it has our root.
provost_jails_stop()
{
	echo -n "Stopping jails of Provost:"
	for _file in $(provost_jails_files); do
		_jail=$(/usr/bin/basename "${_file}" .conf)
		_root="$(/usr/bin/dirname "$(/usr/bin/dirname "${_file}")")/roots/${_jail}/tree"
		if [ "$(/usr/sbin/jls -j "${_jail}" path 2>/dev/null)" != "${_root}" ]; then continue; fi
		if _said=$(/usr/sbin/jail -r -f "${_file}" "${_jail}" 2>&1 </dev/null); then
			echo -n " ${_jail}"
		else
			echo " ${_jail} could not be stopped: ${_said}"
		fi
	done
	echo "."
}

run_rc_command "$1"
