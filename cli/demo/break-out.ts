import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'

/** Where runc keeps its jails, and the tree of one of them. */
export type OfRunc = { runcRoot: string; rootfs: string }

export type Attempt = { what: string; said: string; out: boolean }

/**
 * The way out of a chroot that root has always had: hold a directory open, put the root below it, climb from there. It
 * then looks for a file that only the host has.
 */
const program = `
  opendir(my $held, "/") or die "opendir: $!";
  mkdir "/tmp/cell";
  chroot "/tmp/cell" or die "chroot: $!";
  chdir $held or die "fchdir: $!";
  chdir ".." for 1 .. 64;
  chroot "." or die "chroot: $!";
  opendir(my $root, "/") or die "opendir: $!";
  my @names = sort grep { !/^\\./ } readdir $root;
  print -e $ARGV[0] ? "OUT" : "IN", " ", $>, " ", "@names";
`

/** Tries it as root in a plain chroot of the jail's tree, where it works, and as root in the jail, where it must not. */
export async function tryBreakOut(jail: string, { runcRoot, rootfs }: OfRunc, directory: string): Promise<Attempt[]> {
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
  // From its input: for -e perl opens /dev/null, which a plain chroot on a mount without devices does not have.
  const { stdout, stderr, exitCode } = await execa(command, args, { reject: false, input: program })
  const [verdict, uid, ...names] = stdout.split(' ')
  if (verdict !== 'OUT' && verdict !== 'IN') throw new Error(`The break-out ${where} ended with ${exitCode}: ${stderr || stdout}`)
  const out = verdict === 'OUT'
  return {
    what: `as root (uid ${uid}) ${where}`,
    said: `${out ? 'it saw the file of the host' : 'it did not see the file of the host'}; its / held ${names.join(' ')}`,
    out,
  }
}

/** Where runc keeps a jail: the one of that name whose first process is the jail's. */
export function findOfRunc(jail: string, jid: number): OfRunc {
  for (const name of readdirSync('/run').filter((entry) => entry.startsWith('provost-'))) {
    const runcRoot = join('/run', name, 'runc')
    try {
      const state = JSON.parse(readFileSync(join(runcRoot, jail, 'state.json'), 'utf8')) as RuncState
      if (state.init_process_pid === jid) return { runcRoot, rootfs: state.config.rootfs }
    } catch {
      // Another host of Provost on this machine, without a jail of this name.
    }
  }
  throw new Error(`runc knows no jail ${jail} with the first process ${jid}.`)
}

type RuncState = { init_process_pid: number; config: { rootfs: string } }
