import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'

/** The state directory of runc, and the root of one of its jails. */
export type RuncJail = { runcRoot: string; rootfs: string }

export type Attempt = { what: string; outcome: string; out: boolean }

/**
 * The classic way for root out of a chroot: keep a directory open, chroot below it, climb up from the open one. The program
 * then looks for a file that only the host has.
 */
const program = `
  opendir(my $outside, "/") or die "opendir: $!";
  mkdir "/tmp/cell";
  chroot "/tmp/cell" or die "chroot: $!";
  chdir $outside or die "fchdir: $!";
  chdir ".." for 1 .. 64;
  chroot "." or die "chroot: $!";
  opendir(my $root, "/") or die "opendir: $!";
  my @names = sort grep { !/^\\./ } readdir $root;
  print -e $ARGV[0] ? "OUT" : "IN", " ", $>, " ", "@names";
`

/** Tries the break-out as root in a plain chroot of the jail's tree, where it works, and in the jail, where it must not. */
export async function tryBreakOut(jail: string, { runcRoot, rootfs }: RuncJail, directory: string): Promise<Attempt[]> {
  const marker = join(directory, `only-the-host-has-this-${process.pid}`)
  writeFileSync(marker, '')
  try {
    return [
      await attempt('in a plain chroot of the same tree', 'chroot', [rootfs, 'perl', '-', marker]),
      await attempt('in the jail', 'runc', ['--root', runcRoot, 'exec', jail, 'perl', '-', marker]),
    ]
  } finally {
    rmSync(marker)
  }
}

async function attempt(where: string, command: string, args: string[]): Promise<Attempt> {
  // On stdin: for -e, perl opens /dev/null, which is missing in a plain chroot on a mount without devices.
  const { stdout, stderr, exitCode } = await execa(command, args, { reject: false, input: program })
  const [verdict, uid, ...names] = stdout.split(' ')
  if (verdict !== 'OUT' && verdict !== 'IN') throw new Error(`The break-out ${where} ended with ${exitCode}: ${stderr || stdout}`)
  const out = verdict === 'OUT'
  return {
    what: `as root (uid ${uid}) ${where}`,
    outcome: `${out ? 'it saw the file of the host' : 'it did not see the file of the host'}; its / held ${names.join(' ')}`,
    out,
  }
}

/** Finds a jail of runc by its name and the pid of its first process. @throws Error when there is none */
export function findRuncJail(jail: string, jid: number): RuncJail {
  for (const name of readdirSync('/run').filter((entry) => entry.startsWith('provost-'))) {
    const runcRoot = join('/run', name, 'runc')
    try {
      const state = JSON.parse(readFileSync(join(runcRoot, jail, 'state.json'), 'utf8')) as RuncState
      if (state.init_process_pid === jid) return { runcRoot, rootfs: state.config.rootfs }
    } catch {
      // Of another host of Provost on this machine, which has no jail of this name.
    }
  }
  throw new Error(`runc knows no jail ${jail} with the first process ${jid}.`)
}

type RuncState = { init_process_pid: number; config: { rootfs: string } }
