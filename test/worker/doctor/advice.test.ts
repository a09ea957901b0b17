import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { World } from '../../../worker/config/world.ts'
import { checkClock, judgeClock } from '../../../worker/doctor/clock.ts'
import { checkFreeSpace } from '../../../worker/doctor/free-space.ts'
import { checkResolvers } from '../../../worker/doctor/resolvers.ts'
import { checkWorldPrograms } from '../../../worker/doctor/world-programs.ts'
import { freePort } from '../../support/free-port.ts'
import { scriptedPrograms } from '../../support/programs/scripted-programs.ts'

describe('the clock of a host', () => {
  it('is well within two seconds of the one of Redis', () => {
    expect(judgeClock({ aheadMs: 1_900, uncertainMs: 1 })).toMatchObject({ ok: true })
    expect(judgeClock({ aheadMs: -1_900, uncertainMs: 1 })).toMatchObject({ ok: true })
  })

  it('is at fault beyond, and says which way', () => {
    const ahead = judgeClock({ aheadMs: 90_000, uncertainMs: 1 })
    expect(ahead).toMatchObject({ ok: false, detail: expect.stringMatching(/90\.00 s ahead/), remedy: expect.any(String) })
    expect(judgeClock({ aheadMs: -90_000, uncertainMs: 1 }).detail).toMatch(/90\.00 s behind/)
  })

  it('is not blamed for what a slow answer may be', () => {
    expect(judgeClock({ aheadMs: 2_500, uncertainMs: 1_000 })).toMatchObject({ ok: true })
  })

  it('is read from Redis', async () => {
    const seconds = Math.floor(Date.now() / 1_000) - 60
    const info = 'redis_version:7.0.0\r\nloading:0\r\n'
    const answers: Record<string, string> = {
      hello: '%0\r\n',
      info: `$${info.length}\r\n${info}\r\n`,
      time: `*2\r\n$10\r\n${seconds}\r\n$1\r\n0\r\n`,
    }
    const server = createServer((socket) => {
      socket.on('data', (data) => {
        for (const [, command = ''] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g))
          socket.write(answers[command.toLowerCase()] ?? '+OK\r\n')
      })
      socket.on('error', () => undefined)
    })
    const port = await freePort()
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    const result = await checkClock(`redis://127.0.0.1:${port}`)
    server.close()
    expect(result).toMatchObject({ ok: false, detail: expect.stringMatching(/(59|60|61)\.\d\d s ahead/) })
  })

  it('is not compared without Redis, which is said, with no secret in it', async () => {
    const result = await checkClock(`redis://:secret@127.0.0.1:${await freePort()}`)
    expect(result).toMatchObject({
      ok: true,
      detail: expect.stringMatching(/Could not be compared.*ECONNREFUSED/),
      remedy: expect.stringContaining('PROVOST_REDIS_URL'),
    })
    expect(JSON.stringify(result)).not.toContain('secret')
  })
})

const nothing = scriptedPrograms({}).run

describe('the free space of a host', () => {
  it('is what ZFS says where root is a dataset, or what its parent has before it is there', async () => {
    const { run } = scriptedPrograms({
      zfs: (args, say) => {
        if (args.at(-1) !== 'zroot') return 1
        say.stdout('5368709120\n')
        return 0
      },
    })
    expect(await checkFreeSpace('zroot/data/provost', run)).toEqual({
      ok: true,
      detail: '5.0 GiB are free in zroot/data/provost.',
    })
    expect(await checkFreeSpace('zroot/data/provost', run, 6 * 1024 ** 3)).toMatchObject({ ok: false })
  })

  it('is looked at where root will be, although it is not there yet', async () => {
    expect(await checkFreeSpace('/tmp/provost-none/below', nothing, 1)).toMatchObject({
      ok: true,
      detail: expect.stringMatching(/GiB are free in \/tmp\.$/),
    })
  })

  it('is at fault when worlds do not fit', async () => {
    expect(await checkFreeSpace('/tmp', nothing, Number.MAX_SAFE_INTEGER)).toMatchObject({
      ok: false,
      remedy: expect.stringMatching(/[Ff]ree some space/),
    })
  })
})

describe('the resolvers of jails', () => {
  const directory = mkdtempSync(join(tmpdir(), 'provost-resolvers-'))
  afterAll(() => rmSync(directory, { recursive: true }))
  const network = { mode: 'shared' as const, interface: 'em0', pools: [] }

  it('are those of the configuration, or of the host', async () => {
    writeFileSync(join(directory, 'resolv.conf'), 'nameserver 127.0.0.1\nnameserver 192.0.2.53\n')
    expect((await checkResolvers({ network, etcDir: directory })).detail).toBe('Jails ask 192.0.2.53 for names.')
    const own = { ...network, resolvers: ['192.0.2.1', '192.0.2.2'] }
    expect((await checkResolvers({ network: own, etcDir: directory })).detail).toBe('Jails ask 192.0.2.1, 192.0.2.2 for names.')
  })

  // Behind systemd-resolved there are others.
  it.skipIf(existsSync('/run/systemd/resolve/resolv.conf'))('are missed where the host asks only itself', async () => {
    writeFileSync(join(directory, 'resolv.conf'), 'nameserver 127.0.0.1\n')
    expect(await checkResolvers({ network, etcDir: directory })).toMatchObject({
      ok: true,
      detail: expect.stringContaining('names no server that a jail could reach'),
      remedy: expect.stringContaining('network.resolvers'),
    })
  })
})

describe('the programs that worlds are made with', () => {
  const worlds = [
    World.parse({ name: 'deb', method: 'debootstrap', suite: 'bookworm' }),
    World.parse({ name: 'src', method: 'source' }),
    World.parse({ name: 'copy', method: 'tree', path: '/srv' }),
  ]

  it('are missed by name, each with its world', () => {
    expect(checkWorldPrograms({ worlds, commandPath: '/nowhere' })).toMatchObject({
      ok: false,
      detail: 'Missing in /nowhere: debootstrap (world deb), wget (world deb), make (world src).',
    })
    expect(checkWorldPrograms({ worlds: worlds.slice(2), commandPath: '/nowhere' })).toMatchObject({ ok: true })
  })
})
