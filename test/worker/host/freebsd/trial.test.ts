import { expect, test } from 'vitest'
import { trialConfig } from '../../../../worker/doctor/try/trial-host.ts'
import { freebsdRuntime } from '../../../../worker/host/freebsd/runtime.ts'
import { trialFreebsd } from '../../../support/hosts/trial-freebsd.ts'

test.each([
  { storage: 'zfs', mode: 'vnet' },
  { storage: 'ufs', mode: 'shared' },
] as const)('a host for a trial on $storage, $mode, is not there after it, and was not arranged for boot', async (settings) => {
  const trial = await trialFreebsd(settings)
  try {
    const seen = () => {
      const { links, datasets, rcConf } = trial.kernel
      return { links: links.map(({ name }) => name), datasets: [...datasets.keys()], rcConf: [...rcConf] }
    }
    const before = seen()
    const host = freebsdRuntime({ run: trial.run, config: trialConfig(trial.config), atBoot: false })
    await host.open()
    await host.discard()
    expect(seen()).toEqual(before)
  } finally {
    await trial.close()
  }
})
