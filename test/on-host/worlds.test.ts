import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { mirrorOf } from '../../worker/worlds/methods/apt-settings.ts'
import { directoryHost } from '../support/hosts/directory-host.ts'
import { whyNoLinuxJails } from '../support/hosts/host-fitness.ts'
import { pids, readProc } from '../support/proc.ts'
import { asker, test as base, openStore } from '../worker/worlds/world-fixture.ts'

const unfit = whyNoLinuxJails()
const debian = { name: 'debian', method: 'debootstrap', suite: 'bookworm' }

const test = base.extend<{ smallDisk: string }>({
  smallDisk: async ({ task: _ }, use) => {
    const directory = await mkdtemp('/var/tmp/provost-small-')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m,mode=755', 'tmpfs', directory])
    await use(directory)
    execFileSync('umount', [directory])
    await rmdir(directory)
  },
})

/** What is mounted below a directory, and which processes have to do with it, in any namespace. */
function traces(directory: string) {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(directory))
  const others = pids().filter((pid) => pid !== process.pid)
  const commands = others.map((pid) => readProc(pid, 'cmdline').replaceAll('\0', ' '))
  return { mounts, processes: commands.filter((command) => command.includes(directory)) }
}

async function mirrorAnswers(): Promise<boolean> {
  const mirror = await mirrorOf(debian.suite)
  if (!mirror) return false
  const answer = await fetch(`${mirror}/dists/${debian.suite}/Release`, {
    method: 'HEAD',
    signal: AbortSignal.timeout(5_000),
  }).catch(() => undefined)
  return answer?.ok ?? false
}

describe.skipIf(unfit)('worlds on a real host', () => {
  test('debootstrap: killed midway nothing is left, and the next fill makes a Debian', async ({ kept, skip }) => {
    skip(!(await mirrorAnswers()), 'the mirror that apt uses here does not answer')
    const killed = await openStore(kept, [debian])
    const [id] = killed.ids
    if (!id) throw new Error('no world')
    const first = killed.store.fill(id, asker('first'))
    if (!first) throw new Error('ready already')
    // Past the downloads and the unpacking: it configures packages in a chroot with /proc and /sys mounted.
    await new Promise<void>((resolve, reject) => {
      first.onProgress((fraction) => fraction > 0.78 && resolve())
      first.done.then(() => reject(new Error('it ended before it could be killed')), reject)
    })
    await killed.store.close()
    await expect(first.done).rejects.toMatchObject({ code: 'cancelled' })
    expect(await kept.stages()).toEqual([])
    expect(await kept.worlds()).toEqual([])
    expect(traces(kept.root)).toEqual({ mounts: [], processes: [] })

    const { store } = await openStore(kept, [debian])
    const seen: number[] = []
    const fill = store.fill(id, asker('second'))
    fill?.onProgress((fraction) => seen.push(fraction))
    await fill?.done
    const tree = kept.host.worldTree(id)
    expect(await readFile(join(tree, 'etc/os-release'), 'utf8')).toContain('VERSION_CODENAME=bookworm')
    expect(await readFile(join(tree, 'etc/hostname'), 'utf8')).toBe('localhost\n')
    expect(existsSync(join(tree, 'debootstrap'))).toBe(false)
    expect(await readdir(join(tree, 'var/cache/apt/archives'))).toEqual([])
    expect(seen.length).toBeGreaterThan(50)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(traces(kept.root)).toEqual({ mounts: [], processes: [] })
    // A mirror may be slow.
  }, 420_000)

  test('debootstrap: a dead mirror is tried three times, one without the suite once', async ({ kept }) => {
    const dead = await openStore(kept, [{ ...debian, mirror: 'http://127.0.0.1:9/debian' }])
    const log = asker('one')
    await expect(dead.ids[0] && dead.store.fill(dead.ids[0], log)?.done).rejects.toMatchObject({
      code: 'mirror_unavailable',
      retryable: false,
      message: expect.stringMatching(/Failed getting release file .*tried 3 times/),
    })
    expect(log.records.filter(({ command }) => command.includes('debootstrap ')).length).toBe(3)

    const server = createServer((_, response) => response.writeHead(404).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`
    const without = await openStore(kept, [{ ...debian, mirror }])
    await expect(without.ids[0] && without.store.fill(without.ids[0], asker('two'))?.done).rejects.toMatchObject({
      code: 'world_source_missing',
    })
    server.close()
  })

  test('a full disk is named, and nothing is left on it', async ({ smallDisk, scratch, skip }) => {
    const kept = await directoryHost(smallDisk)
    const big = join(scratch, 'big')
    await mkdir(join(big, 'etc'), { recursive: true })
    await writeFile(join(big, 'etc/blob'), Buffer.alloc(60 * 1024 ** 2))
    const path = join(scratch, 'big.tar')
    execFileSync('tar', ['-c', '-f', path, '-C', big, '.'])
    const sha256 = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')

    const definitions = [
      { name: 'copy', method: 'tree', path: big },
      { name: 'tar', method: 'archive', path, sha256 },
    ]
    const { store, ids } = await openStore(kept, definitions)
    for (const id of ids)
      await expect(store.fill(id, asker(id.name))?.done).rejects.toMatchObject({ code: 'disk_full', retryable: false })

    if (await mirrorAnswers()) {
      const full = await openStore(kept, [debian])
      await expect(full.ids[0] && full.store.fill(full.ids[0], asker('debian'))?.done).rejects.toMatchObject({
        code: 'disk_full',
      })
    }
    expect({ stages: await kept.stages(), worlds: await kept.worlds() }).toEqual({ stages: [], worlds: [] })
    skip(!(await mirrorAnswers()), 'the mirror that apt uses here does not answer')
  })

  test('busybox: a userland that starts on its own, with no command to wait for', async ({ kept }) => {
    const { store, ids } = await openStore(kept, [{ name: 'busybox', method: 'busybox' }])
    const [id] = ids
    if (!id) throw new Error('no world')
    await store.fill(id, asker('one'))?.done
    const tree = kept.host.worldTree(id)
    const output = execFileSync('chroot', [
      tree,
      '/bin/sh',
      '-c',
      'id -un; ls -d /tmp /etc/passwd; test -e /etc/rc || echo no rc',
    ])
    expect(output.toString()).toBe('root\n/etc/passwd\n/tmp\nno rc\n')
  })
})
