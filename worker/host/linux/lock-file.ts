import type { FileHandle } from 'node:fs/promises'
import type { RunCommand } from '../run-command.ts'

const heldByAnother = 75

/** flock(2) by way of flock(1), since Node has none: the lock belongs to the open file, which is ours and stays open. */
export async function lockFile(run: RunCommand, file: FileHandle): Promise<boolean> {
  const args = ['--exclusive', '--nonblock', '--conflict-exit-code', `${heldByAnother}`, '3']
  const { exitCode } = await run('flock', args, { descriptor: file.fd, okExitCodes: [heldByAnother] })
  return exitCode === 0
}
