import type { RunCommand } from '../../programs/run-command.ts'

/**
 * Returns an id that changes with every boot and only then; kern.boottime moves with the clock. The kernel has it since 13.0 as
 * 16 bytes, which sysctl(8) prints only with -x.
 */
export async function readBootId(run: RunCommand): Promise<string> {
  const { stdout } = await run('sysctl', ['-n', '-x', 'kern.boot_id'])
  return /0x([0-9a-f]+)/.exec(stdout)?.[1] ?? stdout.trim()
}
