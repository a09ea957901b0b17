import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { endProcess, isRunning, recordProcess } from '../../../../cli/dev/processes/process-record.ts'

function start(program: string, ...args: string[]) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  if (child.pid === undefined) throw new Error(`${program} did not start`)
  return { child, record: recordProcess(program, child.pid) }
}

test('ends a process that obeys SIGTERM', async () => {
  const { child, record } = start('sleep', '60')
  const exit = once(child, 'exit')
  expect(isRunning(record)).toBe(true)
  await endProcess(record, 5_000)
  expect(isRunning(record)).toBe(false)
  expect(await exit).toEqual([null, 'SIGTERM'])
})

test('kills one that does not', async () => {
  const { child, record } = start('sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 1; done')
  const exit = once(child, 'exit')
  await once(child.stdout, 'data')
  await endProcess(record, 50)
  expect(await exit).toEqual([null, 'SIGKILL'])
})

test('does not touch another process that now has the pid', async () => {
  const { child, record } = start('sleep', '60')
  await endProcess({ ...record, startedAt: 'long ago' }, 50)
  expect(isRunning(record)).toBe(true)
  const exit = once(child, 'exit')
  child.kill()
  await exit
})
