import { describe, expect, it } from 'vitest'
import type { WorkerConfig } from '../../../../../worker/config/config.ts'
import { linuxRuntime } from '../../../../../worker/host/linux/runtime.ts'

type Network = WorkerConfig['network']
const pool = (cidr: string, more = {}) => ({ name: 'clients', cidr, exclude: [], ...more })

function hostWith(network: Partial<Network>, commandPath = '/nowhere') {
  const run = async () => ({ exitCode: 0, stdout: '', stderr: '' })
  const config = {
    root: '/tmp',
    commandPath,
    capacity: { jails: 1, memory: 1, cpu: 1, fills: 1, builds: 1, starts: 1 },
    network: { mode: 'vnet', bridge: 'pvnone', pools: [pool('203.0.113.0/24')], ...network },
  } as unknown as WorkerConfig
  return linuxRuntime({ run, config })
}

describe.skipIf(process.platform !== 'linux')('the check of a Linux host', () => {
  it('names every missing program, with the package that has it', async () => {
    const checks = await hostWith({}).check()
    expect(checks).toEqual(
      expect.arrayContaining(
        ['runc', 'catatonit', 'iproute2'].map((debian) =>
          expect.objectContaining({ ok: false, remedy: `apt-get install ${debian}, or set commandPath.` }),
        ),
      ),
    )
  })

  it('names all of it at once when the host is opened', async () => {
    const opened = hostWith({ mode: 'shared' }).open()
    await expect(opened).rejects.toMatchObject({
      code: 'host_unfit',
      message: expect.stringMatching(/no runc in \/nowhere.*no ip in \/nowhere.*network.mode is shared/s),
    })
  })

  const refused: [string, ReturnType<typeof pool>][] = [
    ['an address of this host', pool('127.0.0.0/8')],
    ['an address of this host as a gateway that is not on the bridge', pool('127.0.0.0/8', { gateway: '127.0.0.1' })],
  ]
  it.each(refused)('refuses a pool with %s', async (_, clients) => {
    const checks = await hostWith({ pools: [clients] }).check()
    expect(checks.find(({ name }) => name === 'pools')).toMatchObject({
      ok: false,
      detail: expect.stringContaining('127.0.0.1 on lo is inside pool clients'),
    })
  })

  it('takes a pool whose exclude names the address of this host', async () => {
    const checks = await hostWith({ pools: [pool('127.0.0.0/8', { exclude: ['127.0.0.0/24'] })] }).check()
    expect(checks.find(({ name }) => name === 'pools')).toMatchObject({ ok: true })
  })
})
