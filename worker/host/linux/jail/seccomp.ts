const cloneNewUser = 0x10000000
const enosys = 38
/** S_IFMT, and the kinds of nodes for devices: inode(7). */
const kindOfFile = 0o170000
const [characterDevice, blockDevice] = [0o020000, 0o060000]

/**
 * The system calls that no jail needs and that would let it reach out. The list is of what is denied, and short, because a filter
 * is compiled and run for each process that enters (an allow-list of 400 names costs 50 ms on each start). Most of these
 * also need a capability that jails lack; a new user namespace would give those back, so it is denied below.
 */
const denied = [
  ...['mount', 'umount2', 'pivot_root', 'move_mount', 'open_tree', 'fsopen', 'fsconfig', 'fsmount', 'fspick', 'mount_setattr'],
  ...['unshare', 'setns', 'open_by_handle_at'],
  ...['add_key', 'request_key', 'keyctl', 'bpf', 'perf_event_open', 'userfaultfd', 'io_uring_setup'],
  ...['kexec_load', 'kexec_file_load', 'init_module', 'finit_module', 'delete_module'],
]

/** The `linux.seccomp` part of the specification. A call of another architecture than the kernel's own ends the process. */
export const seccomp = {
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [
    { names: denied, action: 'SCMP_ACT_ERRNO' },
    {
      names: ['clone'],
      action: 'SCMP_ACT_ERRNO',
      args: [{ index: 0, value: cloneNewUser, valueTwo: cloneNewUser, op: 'SCMP_CMP_MASKED_EQ' }],
    },
    // A character device 0:0 is a whiteout, which anybody may make (since Linux 5.8): a jail could fill its /dev with them.
    ...[characterDevice, blockDevice].flatMap((kind) =>
      [
        { name: 'mknod', index: 1 },
        { name: 'mknodat', index: 2 },
      ].map(({ name, index }) => ({
        names: [name],
        action: 'SCMP_ACT_ERRNO',
        args: [{ index, value: kindOfFile, valueTwo: kind, op: 'SCMP_CMP_MASKED_EQ' }],
      })),
    ),
    // Its flags are in memory, where no filter can look; on ENOSYS the C libraries use clone.
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: enosys },
  ],
}
