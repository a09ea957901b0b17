import type { ProvostError } from '#shared/errors.ts'
import { commandRunner } from '../../../../worker/host/programs/run-command.ts'

// A program of its own for a test: it gives up its right to make processes, then prints how it fails to run one.
const run = commandRunner({ commandPath: '/usr/bin:/bin', worker: 'a test' })
await run('true', [])
// The limit is on a user's processes, and none of root's.
if (process.getuid?.() === 0) process.setuid?.(65_534)
await run('prlimit', ['--nproc=1', '--pid', `${process.pid}`])
await run('true', []).catch((error: unknown) => {
  const { code, message, retryable } = error as ProvostError
  console.log(JSON.stringify({ code, message, retryable }))
})
