import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { type TrialHost, trialHost } from '../../support/hosts/trial-host.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: the MTU of jails: ${whyNot}`)

const { signal } = new AbortController()

function inside({ layout }: TrialHost, { name }: JailSpec, ...argv: string[]): string {
  return execFileSync('nsenter', [`--net=${layout.jail(name).network}`, ...argv], { encoding: 'utf8' })
}

describe.skipIf(whyNot)('the link of a jail', () => {
  it.each([1_400, 9_000])('has the MTU of a bridge of %i, which no jail changes', async (mtu) => {
    const trial = await trialHost()
    const bridge = trial.config.network.bridge ?? ''
    const bridgeMtu = () => Number(readFileSync(`/sys/class/net/${bridge}/mtu`, 'utf8'))
    execFileSync('ip', ['link', 'add', 'name', bridge, 'mtu', `${mtu}`, 'type', 'bridge'])
    try {
      execFileSync('ip', ['link', 'set', 'dev', bridge, 'up'])
      const [first, second] = [trial.jail(), trial.jail()]
      for (const jail of [first, second]) await trial.host.ensureNetwork(jail, signal)
      expect(bridgeMtu()).toBe(mtu)
      for (const jail of [first, second]) {
        expect(JSON.parse(inside(trial, jail, 'ip', '-json', 'link', 'show', 'dev', 'eth0'))).toMatchObject([{ mtu }])
        expect(Number(readFileSync(`/sys/class/net/${trial.layout.jail(jail.name).veth}/mtu`, 'utf8'))).toBe(mtu)
      }
      // A packet of the full size, with the headers of ICMP and IPv4, and one of Ethernet's usual size.
      const to = second.addresses[0]?.split('/')[0] ?? ''
      for (const size of [mtu, 1_500]) inside(trial, first, 'busybox', 'ping', '-c', '1', '-W', '5', '-s', `${size - 28}`, to)
      for (const jail of [first, second]) await trial.host.removeNetwork(jail, signal)
      expect(bridgeMtu()).toBe(mtu)
    } finally {
      await trial.close()
      execFileSync('ip', ['link', 'delete', 'dev', bridge])
    }
  })
})
