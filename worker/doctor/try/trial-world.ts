import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { WorldId } from '#shared/job.ts'
import type { HostRuntime } from '../../host/host-runtime.ts'
import { findProgram, type RunCommand } from '../../host/programs/run-command.ts'
import { fillDirectory } from '../../worlds/fill-directory.ts'

export const trialWorld: WorldId = { name: 'trial', digest: '0'.repeat(64) }

type Deps = { host: HostRuntime; run: RunCommand; commandPath: string; signal: AbortSignal }

/** Makes the world of a trial jail from the host's own programs, with `trial.sh` in it. */
export async function makeTrialWorld(deps: Deps): Promise<void> {
  const { host, signal } = deps
  const directory = await host.stageWorld(trialWorld)
  if (host.platform.startsWith('linux/')) await fillByBusybox(directory, deps)
  else await fillByPrograms(directory, deps)
  await mkdir(join(directory, 'trial'))
  await copyFile(join(import.meta.dirname, 'trial.sh'), join(directory, 'trial/trial.sh'))
  signal.throwIfAborted()
  await host.commitWorld(trialWorld)
}

async function fillByBusybox(directory: string, { host: { platform }, run, signal }: Deps): Promise<void> {
  const world = { name: trialWorld.name, method: 'busybox', prefill: false } as const
  await fillDirectory({ world, directory, platform, run, signal, progress: () => undefined })
}

const programs = ['sh', 'dd', 'hostname', 'mount', 'mknod', 'sleep']
/** With an empty password: a jail needs its root in the databases of pwd_mkdb(8), and nobody logs in. */
const passwords = 'root::0:0::0:0:root:/root:/bin/sh\n'

/** FreeBSD has no busybox: copies a few programs of the base system, and the libraries that ldd(1) names. */
async function fillByPrograms(directory: string, { run, commandPath, signal }: Deps): Promise<void> {
  for (const name of ['bin', 'dev', 'etc', 'mnt', 'root', 'tmp']) await mkdir(join(directory, name))
  const files = new Set(['/libexec/ld-elf.so.1'])
  for (const name of programs) {
    const program = findProgram(name, commandPath) ?? `/bin/${name}`
    await copyFile(program, join(directory, 'bin', basename(program)))
    // A static program has none: ldd(1) fails.
    const { stdout } = await run('ldd', ['-f', '%p\\n', program], { okExitCodes: [1], signal })
    for (const line of stdout.split('\n').map((each) => each.trim())) if (line.startsWith('/')) files.add(line)
  }
  for (const file of files) {
    await mkdir(join(directory, dirname(file)), { recursive: true })
    await copyFile(file, join(directory, file))
  }
  const master = join(directory, 'etc/master.passwd')
  await writeFile(master, passwords, { mode: 0o600 })
  await run('pwd_mkdb', ['-p', '-d', join(directory, 'etc'), master], { signal })
}
