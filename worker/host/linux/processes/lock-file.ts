import { type FileHandle, open } from 'node:fs/promises'
import type { RunCommand } from '../../run-command.ts'

const heldByAnother = 75

/** flock(2) by way of flock(1), since Node has none: the lock belongs to the open file, which is ours and stays open. */
export async function lockFile(run: RunCommand, path: string): Promise<FileHandle | undefined> {
  const file = await open(path, 'a+', 0o600)
  const args = ['--exclusive', '--nonblock', '--conflict-exit-code', `${heldByAnother}`, '3']
  try {
    const { exitCode } = await run('flock', args, { descriptor: file.fd, okExitCodes: [heldByAnother] })
    if (exitCode === 0) return file
  } catch (error) {
    await file.close()
    throw error
  }
  await file.close()
  return undefined
}
