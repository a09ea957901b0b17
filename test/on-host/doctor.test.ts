import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readWorkerConfig } from '../../worker/config/config.ts'
import { trialConfig, trialJail } from '../../worker/doctor/try/trial-host.ts'
import type { Check } from '../../worker/host/host-runtime.ts'
import { layoutOf } from '../../worker/host/linux/layout.ts'
import { whyNoLinuxJails } from '../support/hosts/host-fitness.ts'
import { hostSnapshot } from '../support/hosts/host-snapshot.ts'
import { until } from '../support/until.ts'

const main = fileURLToPath(new URL('../../worker/doctor/main.ts', import.meta.url))

describe.skipIf(whyNoLinuxJails())('provost doctor --try', () => {
  let directory: string
  let root: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'provost-try-'))
    root = join(directory, 'host')
    const config = {
      host: 'tried',
      runtime: 'linux',
      root,
      network: { mode: 'vnet', bridge: 'pvtried', pools: [{ name: 'main', cidr: '10.98.7.0/24' }] },
      capacity: { jails: 10, memory: '1G', cpu: 2, disk: '1G' },
      defaults: { memory: '64M', cpu: 0.5, processes: 50 },
      worlds: [{ name: 'busybox', method: 'busybox' }],
    }
    await writeFile(join(directory, 'worker.yaml'), JSON.stringify(config))
  })
  afterEach(() => rm(directory, { recursive: true }))

  function start() {
    const args = [main, '--config', join(directory, 'worker.yaml'), '--try', '--json']
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const printed = Promise.all([text(child.stdout), text(child.stderr)])
    return {
      child,
      async end(): Promise<{ status: number | null; checks: Check[] }> {
        const [status, [stdout, stderr]] = await Promise.all([ended, printed])
        return { status, checks: stdout === '' ? [{ name: 'none', ok: false, detail: stderr }] : JSON.parse(stdout).checks }
      },
    }
  }

  const trial = () => trialConfig(readWorkerConfig({}, join(directory, 'worker.yaml')))
  const layout = () => layoutOf(trial().root).jail(trialJail(trial(), []).name)

  const left = () => {
    const { runDirectory, filters } = layoutOf(trial().root)
    const { veth } = layout()
    const isOurs = (line: string) => [directory, runDirectory, filters, veth, 'provosttrial'].some((part) => line.includes(part))
    return hostSnapshot([root], isOurs)
  }
  const nothing = { mounts: [], links: [], filters: [], namespaces: [], cgroups: [], directories: [], processes: [] }

  const tried = (checks: Check[]) => checks.filter(({ name }) => /^(tried|isolation): /.test(name))

  it('finds that this host keeps what it promises, by a jail that tries, of which nothing is left', async () => {
    const { status, checks } = await start().end()
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
    expect(status).toBe(0)
    expect(tried(checks).map(({ name }) => name)).toEqual([
      ...['hostname', 'addresses', 'network', 'processes', 'root', 'devices', 'privileges', 'limits'].map(
        (name) => `isolation: ${name}`,
      ),
      ...['rename', 'mount', 'signal', 'device', 'memory', 'processes', 'cpu', 'disk'].map((name) => `tried: ${name}`),
    ])
    expect(left()).toEqual(nothing)
    expect(existsSync(root)).toBe(false)
  })

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'leaves nothing when it is ended by %s, at the latest after the next one',
    async (how) => {
      const first = start()
      const { runcState } = layout()
      await until('the jail to run', () => existsSync(runcState))
      first.child.kill(how)
      await first.end()
      if (how === 'SIGKILL') {
        expect(readdirSync(root)).toContain('trial')
        const { checks } = await start().end()
        expect(checks.filter(({ ok }) => !ok)).toEqual([])
      }
      expect(left()).toEqual(nothing)
    },
  )
})
