import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const main = fileURLToPath(new URL('../../../worker/doctor/main.ts', import.meta.url))
const file = '/usr/local/etc/provost/worker.yaml'

// Starts two programs.
const timeout = 30_000

test.skipIf(existsSync(file))('without a configuration the doctor checks the computer, and says so', { timeout }, () => {
  const env = { PATH: process.env['PATH'], PROVOST_REDIS_URL: 'redis://127.0.0.1:1' }
  const { status, stdout } = spawnSync(process.execPath, [main, '--json'], { env, encoding: 'utf8' })
  const { checks } = JSON.parse(stdout) as { checks: { name: string; ok: boolean; detail: string }[] }
  expect(checks[0]).toMatchObject({ name: 'configuration', ok: true, detail: expect.stringContaining(`There is no ${file}`) })
  const names = checks.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['root privileges', 'free space', 'clock']))
  expect(names.filter((name) => ['pools', 'worlds', 'bridge', 'network mode'].includes(name))).toEqual([])
  expect(status).toBe(checks.every(({ ok }) => ok) ? 0 : 1)
  const named = spawnSync(process.execPath, [main, '--config', '/nowhere.yaml'], { env, encoding: 'utf8' })
  expect([named.status, named.stderr]).toEqual([2, '/nowhere.yaml does not exist; create it or name another file.\n'])
})
