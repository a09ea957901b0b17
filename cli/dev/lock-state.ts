import { ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { execa } from 'execa'
import { StartFailed } from './end-previous-start.ts'
import type { StateDirectory } from './state-directory.ts'

const takenByAnother = 75

/**
 * Takes the lock of a state directory, before anything of it is read or changed: two that start at once would each take the other
 * for a start that was killed. flock(1) takes it for the open file, which this process keeps as long as it lives.
 * @throws StartFailed when another `provost dev` has it
 */
export async function lockState({ path, lockFile }: StateDirectory): Promise<void> {
  const file = openSync(lockFile, 'a+', 0o600)
  const args = ['--exclusive', '--nonblock', '--conflict-exit-code', `${takenByAnother}`, '3']
  const { exitCode, stderr } = await execa('flock', args, { stdio: ['ignore', 'ignore', 'pipe', file as 3], reject: false })
  if (exitCode === takenByAnother)
    throw new StartFailed(`provost dev runs on ${path} already, as process ${readFileSync(lockFile, 'utf8').trim()}.`)
  if (exitCode !== 0)
    throw new StartFailed(`${path} could not be locked: ${stderr || 'flock cannot be started; it is of util-linux'}.`)
  ftruncateSync(file)
  writeSync(file, `${process.pid}\n`)
}
