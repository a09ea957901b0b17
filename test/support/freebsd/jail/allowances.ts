/** What a jail may be allowed, as a 15.1 with ZFS and the Linux ABI has it, in its order. */
export const allowances = [
  ...['adjtime', 'chflags', 'extattr', 'mlock', 'mount', 'mount.devfs', 'mount.fdescfs', 'mount.linprocfs', 'mount.linsysfs'],
  ...['mount.nullfs', 'mount.p9fs', 'mount.procfs', 'mount.tmpfs', 'mount.zfs', 'nfsd', 'quotas', 'raw_sockets', 'read_msgbuf'],
  ...['reserved_ports', 'routing', 'set_hostname', 'setaudit', 'settime', 'socket_af', 'suser', 'sysvipc'],
  ...['unprivileged_parent_tampering', 'unprivileged_proc_debug'],
]
