import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rangeOf } from '../../../worker/host/linux/root/id-range.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { endless, provision, removeAll, type TrialHost, trialHost } from '../../support/hosts/trial-host.ts'
import { until } from '../../support/until.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: ids of a jail's own: ${whyNot}`)

const { signal } = new AbortController()
const look = `
cat /proc/self/uid_map /proc/self/gid_map
busybox stat -c '%u:%g %a' / /bin/busybox /etc/hosts
busybox chmod 600 /dev/null
echo through stdout > /dev/stdout
echo mine > /tmp/mine; busybox chown 7:8 /tmp/mine; busybox stat -c %u:%g /tmp/mine
busybox rm /etc/hosts; busybox test -e /etc/hosts || echo removed
echo done
exec sleep 100000
`

describe.skipIf(whyNot)("ids of a jail's own", () => {
  let trial: TrialHost
  beforeAll(async () => {
    trial = await trialHost()
  })
  afterAll(() => trial.close())

  const firstIdOf = (name: string) => rangeOf(trial.layout, trial.layout.jail(name)) ?? 0
  const mapOf = (pid: number, map: string) => readFileSync(`/proc/${pid}/${map}`, 'utf8').trim().split(/\s+/).map(Number)

  it('are none of the host and of no other jail, and what a client sees is as without', async () => {
    const [one, two] = [trial.jail({ command: ['/bin/sh', '-c', look] }), trial.jail({ command: endless })]
    const pids = [await provision(trial.host, one), await provision(trial.host, two)]
    const firsts = [firstIdOf(one.name), firstIdOf(two.name)]
    expect(Math.min(...firsts)).toBeGreaterThanOrEqual(0x70000000)
    expect(firsts[0]).not.toBe(firsts[1])
    for (const [i, pid] of pids.entries())
      for (const map of ['uid_map', 'gid_map']) expect(mapOf(pid, map)).toEqual([0, firsts[i], 65_536])

    const console = trial.layout.jail(one.name).console
    await until('what it saw', () => existsSync(console) && readFileSync(console, 'utf8').includes('done\n'))
    const row = `         0 ${firsts[0]}      65536`
    expect(readFileSync(console, 'utf8').split('\n')).toEqual([
      ...[row, row, '0:0 755', '0:0 755', '0:0 644'],
      ...['chmod: /dev/null: Operation not permitted', 'through stdout', '7:8', 'removed', 'done', ''],
    ])
    // On the disk nothing depends on the range.
    const mine = statSync(join(trial.layout.jail(one.name).directory, 'upper/tmp/mine'))
    expect([mine.uid, mine.gid]).toEqual([7, 8])
    expect((await trial.host.proveIsolation(one, signal)).checks.filter(({ ok }) => !ok)).toEqual([])
    for (const jail of [one, two]) await removeAll(trial.host, jail)
    expect(firsts.map((first) => existsSync(join(trial.layout.ranges, `${(first - 0x70000000) / 65_536}`)))).toEqual([
      false,
      false,
    ])
  })

  it('are counted for the jail: its namespace belongs to its own root, and its signals and queues have a limit', async () => {
    const jail = trial.jail({ command: endless })
    await provision(trial.host, jail)
    const ask = 'open F, "<", $ARGV[0]; ioctl F, 0xb704, $b = pack "L", 7; print unpack "L", $b'
    const { stdout } = spawnSync('perl', ['-e', ask, trial.layout.jail(jail.name).userNamespace], { encoding: 'utf8' })
    expect(Number(stdout)).toBe(firstIdOf(jail.name))
    await removeAll(trial.host, jail)
  })

  it('are proven: a jail without its own user namespace is seen', async () => {
    trial.breakNextBy((spec) => {
      spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== 'user')
      delete spec.linux.uidMappings
      delete spec.linux.gidMappings
    })
    const jail = trial.jail({ command: endless })
    await provision(trial.host, jail)
    trial.breakNextBy(() => undefined)
    const { checks } = await trial.host.proveIsolation(jail, signal)
    const seen = checks.find(({ name }) => name === 'processes')
    expect(seen).toMatchObject({ ok: false, detail: expect.stringContaining('has the ids 0 0 4294967295 and not 0 ') })
    await removeAll(trial.host, jail)
  })
})
