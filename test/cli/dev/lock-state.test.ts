import { mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lockState } from '../../../cli/dev/lock-state.ts'
import { openState } from '../../../cli/dev/state-directory.ts'

test.skipIf(process.platform !== 'linux')('a state has one provost dev, and the next is told which', async () => {
  const state = openState(mkdtempSync(join(tmpdir(), 'provost-state-')))
  const starts = await Promise.allSettled([lockState(state), lockState(state)])
  expect(starts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(readFileSync(state.lockFile, 'utf8')).toBe(`${process.pid}\n`)
  await expect(lockState(state)).rejects.toThrow(`provost dev runs on ${state.path} already, as process ${process.pid}.`)
  await rm(state.path, { recursive: true })
})
