const script = 'mount -i --no-canonicalize -o remount,bind,nodev,suid "$1" 2>"$2" || exit; shift 2; exec "$@"'

/**
 * Returns a command that runs another one where the mount `root` is without nosuid: in a mount namespace that ends with it. runc
 * copies that for its jail, and what the host sees of the root stays nosuid. The kernel takes a mount of another namespace for
 * nosuid, too (mnt_may_suid, since Linux 4.8), so that no way through /proc leads around it. A slave: what the host unmounts
 * meanwhile is unmounted there as well. `log`: where a failing mount(8) says why.
 */
export function withSetuidRoot(root: string, log: string, command: string[]): string[] {
  return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', script, 'sh', root, log, ...command]
}
