import { describe, expect } from 'vitest'
import type { TrialFreebsd } from '../../../../support/hosts/trial-freebsd.ts'
import { provision, stop, test } from '../host-test.ts'

const mtuOf = ({ kernel }: TrialFreebsd, name: string) => kernel.links.find((link) => link.name === name)?.mtu

describe('the link of a jail', () => {
  test.for([1_400, 9_000])('has the MTU of a bridge of %i on both ends, which no jail changes', async (mtu, { open }) => {
    const trial = await open({ mode: 'vnet' })
    const [first, second] = [trial.jail(), trial.jail()]
    await trial.run('ifconfig', ['bridge7', 'mtu', `${mtu}`])
    const linksOf = ({ name }: { name: string }) => {
      const { hostEnd, jailEnd } = trial.layout.jail(name)
      return [mtuOf(trial, hostEnd), mtuOf(trial, jailEnd)]
    }
    for (const jail of [first, second]) await provision(trial, jail)
    expect([mtuOf(trial, 'bridge7'), ...linksOf(first), ...linksOf(second)]).toEqual([mtu, mtu, mtu, mtu, mtu])

    // As at boot: a jail's exec.prestart makes its link.
    const { conf } = trial.layout.jail(first.name)
    await trial.run('jail', ['-r', '-f', conf, first.name])
    await trial.run('ifconfig', [trial.layout.jail(first.name).hostEnd, 'destroy'])
    await trial.run('jail', ['-c', '-f', conf, first.name])
    for (const jail of [second]) await stop(trial, jail)
    expect([mtuOf(trial, 'bridge7'), ...linksOf(first)]).toEqual([mtu, mtu, mtu])
  })
})
