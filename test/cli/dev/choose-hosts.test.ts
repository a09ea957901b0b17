import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { chooseHosts } from '../../../cli/dev/choose-hosts.ts'
import { openState } from '../../../cli/dev/state-directory.ts'

test.skipIf(process.platform !== 'linux')(
  'a producer on any free port never gets the one that its own Redis is to have',
  async () => {
    const state = openState(mkdtempSync(join(tmpdir(), 'provost-state-')))
    const first = await chooseHosts(state, 1, 0)
    expect(first.port).not.toBe(first.redisPort)
    // Where the first choice of Redis is taken, its second is where the producer looks first.
    const taker = createServer().listen(first.redisPort, '127.0.0.1')
    await once(taker, 'listening')
    const second = await chooseHosts(state, 1, 0)
    expect(second.redisPort).toBe(first.redisPort + 1)
    expect(second.port).not.toBe(second.redisPort)
    taker.close()
    await once(taker, 'close')
    // And where it is asked for, Redis gives it up.
    const asked = await chooseHosts(state, 1, second.redisPort)
    expect(asked.port).toBe(second.redisPort)
    expect(asked.redisPort).not.toBe(asked.port)
    await rm(state.path, { recursive: true })
  },
)
