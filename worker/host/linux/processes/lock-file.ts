import { type FileHandle, open } from 'node:fs/promises'
import type { RunCommand } from '../../programs/run-command.ts'

const takenByAnother = 75

/** Takes the lock of flock(2) with flock(1), since Node has none: it belongs to the open file, which is ours and stays open. */
export async function lockFile(run: RunCommand, path: string): Promise<FileHandle | undefined> {
  const file = await open(path, 'a+', 0o600)
  const args = ['--exclusive', '--nonblock', '--conflict-exit-code', `${takenByAnother}`, '3']
  try {
    const { exitCode } = await run('flock', args, { descriptor: file.fd, okExitCodes: [takenByAnother] })
    if (exitCode === 0) return file
  } catch (error) {
    await file.close()
    throw error
  }
  await file.close()
  return undefined
}
