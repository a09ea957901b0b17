#!/bin/sh
# daemon(8) runs this for a jail's own command: it takes in what the jail prints, through a pipe, and notes the command's exit
# code. What it keeps is bounded: two files of at most 512 KiB. Who prints faster than this reads has to wait. It ends with the
# last process that can write to the pipe. Absolute paths: it gets no environment, which would have the worker's marks.
console=$1 end=$2 jid=$3
shift 3
umask 077

# dd(1) takes what is there with each read, so a line is on the console at once; a turn of it takes at most 256 KiB. Where the
# console cannot be made, as on a full disk, what is printed is lost: the jail must not stand still for that.
take_in() {
  while :; do
    to=/dev/null
    { to=$console; } 2>/dev/null >>"$console"
    case $(LC_ALL=C /bin/dd bs=8192 count=32 2>&1 >>"$to") in '0+0 records in'*) return 0 ;; esac
    [ "$to" = /dev/null ] || [ "$(/usr/bin/wc -c <"$console")" -le 262144 ] || /bin/mv -f "$console" "$console.1"
  done
}

{
  # -l keeps the host's environment out of the jail, jexec(8). Its input is a pipe that nobody writes to any more, and not the host's own
  # /dev/null: root in the jail could change that one's mode.
  : | /usr/sbin/jexec -l "$jid" "$@" 2>&1
  echo $? >"$end.new" && /bin/mv -f "$end.new" "$end"
} | take_in
