import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { simulatedFreebsd } from '../support/freebsd/simulated-freebsd.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'provost-double-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

test('the doubles leave a process that keeps a reader of their pipes waiting, where a test says so', async () => {
  const freebsd = simulatedFreebsd(directory, () => ({}))
  const place = join(directory, 'bin')
  mkdirSync(place)
  const conf = join(directory, 'jail.conf')
  writeFileSync(conf, `a { path="${directory}"; persist; }`)
  const server = await freebsd.serve(place)
  freebsd.hold('jail', '-c')
  const child = spawn(join(place, 'jail'), ['-c', '-f', conf, 'a'])
  let closed = false
  const close = once(child, 'close').then(() => {
    closed = true
  })
  expect(await once(child, 'exit')).toEqual([0, null])
  // There is nothing to wait for: the event must not come.
  await sleep(200)
  expect(closed).toBe(false)
  process.kill(Number(readFileSync(join(place, 'socket.held'), 'utf8')), 'SIGKILL')
  await close
  server.close()
})

test.each(['ifconfig em0 media auto', 'zfs destroy -R tank/w', 'jail -m a', 'sysctl kern.hz=1000', 'chflags nodump /a'])(
  'the doubles refuse to answer what is not known of FreeBSD: %s',
  async (line) => {
    const [program = '', ...args] = line.split(' ')
    await expect(simulatedFreebsd(directory).run(program, args)).rejects.toThrow('Not known of FreeBSD')
  },
)
