import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { provision, removeAll, type TrialHost, trialHost } from '../../support/hosts/trial-host.ts'
import { until } from '../../support/until.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: hostile trees of jails on Linux: ${whyNot}`)

const { signal } = new AbortController()
const scripts = {
  'data/touch-host':
    'for fd in 0 1 2; do busybox chmod 0 /proc/1/fd/$fd; busybox chmod 0 /proc/$$/fd/$fd; done; echo end > /data/seen\n',
  'data/fill-dev': [
    'busybox mknod /dev/whiteout c 0 0 2> /data/mknod',
    'i=0; while [ $i -lt 4000 ]; do true > /dev/f$i || break; i=$((i + 1)); done 2> /dev/null',
    'echo $i > /data/seen; exec /bin/sleep 100000\n',
  ].join('\n'),
}

describe.skipIf(whyNot)('a jail whose root is hostile', () => {
  let trial: TrialHost
  let jail: JailSpec

  beforeAll(async () => {
    trial = await trialHost(scripts)
  })
  afterEach(async () => {
    trial.breakNextBy(() => {})
    await removeAll(trial.host, jail)
  })
  afterAll(() => trial.close())

  const inRoot = (path: string) => join(trial.layout.jail(jail.name).root, path)
  const seen = () => (existsSync(inRoot('data/seen')) ? readFileSync(inRoot('data/seen'), 'utf8').trim() : undefined)
  const proofs = async () => (await trial.host.proveIsolation(jail, signal)).checks

  it('keeps nothing waiting by a FIFO where runc opens a file, and starts again without it', async () => {
    jail = trial.jail()
    await trial.host.ensureRoot(jail, signal)
    await trial.host.ensureNetwork(jail, signal)
    for (const name of ['etc/passwd', 'etc/group']) {
      rmSync(inRoot(name), { force: true })
      spawnSync('mkfifo', [inRoot(name)])
      await expect(trial.host.ensureJail(jail, signal)).rejects.toMatchObject({
        code: 'world_invalid',
        message: `/${name} of ${jail.name} is a FIFO, and would be opened for its start.`,
      })
      rmSync(inRoot(name))
    }
    await trial.host.ensureJail(jail, signal)
  })

  it('has no file of its host open, so that it changes the mode of none', async () => {
    const modes = () => ['/dev/null', '/dev/zero', '/dev'].map((path) => statSync(path).mode)
    const before = modes()
    jail = trial.jail({ command: ['/bin/sh', '/data/touch-host'] })
    const first = await provision(trial.host, jail)
    await until('the command to have tried', () => seen() === 'end')
    expect(modes()).toEqual(before)
    const open = [0, 1, 2].map((fd) => readlinkSync(`/proc/${first}/fd/${fd}`).replace(/\d+/, 'N'))
    expect(open).toEqual(Array(3).fill('socket:[N]'))
  })

  it('cannot fill its /dev with nodes or files that its proof would have to look through', async () => {
    jail = trial.jail({ command: ['/bin/sh', '/data/fill-dev'] })
    await provision(trial.host, jail)
    await until('the command to have tried', () => seen() !== undefined)
    expect(readFileSync(inRoot('data/mknod'), 'utf8')).toContain('Operation not permitted')
    expect(Number(seen())).toBeGreaterThan(500)
    expect(Number(seen())).toBeLessThan(1_024)
    expect((await proofs()).filter(({ ok }) => !ok)).toEqual([])
  })

  it('is not proven, and in few words, where it has filled a larger one', async () => {
    trial.breakNextBy((spec) => {
      const dev = spec.mounts.find(({ destination }) => destination === '/dev')
      if (dev)
        dev.options = dev.options
          .filter((option) => !option.startsWith('nr_inodes'))
          .map((each) => each.replace('size=1m', 'size=64m'))
    })
    jail = trial.jail({ command: ['/bin/sh', '/data/fill-dev'] })
    await provision(trial.host, jail)
    await until('its command to have filled it', () => seen() === '4000')
    expect((await proofs()).find(({ name }) => name === 'devices')).toMatchObject({
      ok: false,
      detail: expect.stringContaining('has more than 2048 entries in /dev, which nobody can look through'),
    })
  })
})
