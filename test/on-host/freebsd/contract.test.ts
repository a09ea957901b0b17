import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { type ContractHost, contractScripts, hostRuntimeContract } from '../../contract/host-runtime-contract.ts'
import { whyNoFreebsdJails } from '../../support/hosts/host-fitness.ts'
import { provision } from '../../support/hosts/trial-host.ts'
import type { Settings } from '../../support/real-freebsd/freebsd-host.ts'
import { type FreebsdTrial, freebsdTrial } from '../../support/real-freebsd/trial.ts'

const whyNot = whyNoFreebsdJails()
if (whyNot) console.warn(`NOT RUN HERE: all of test/on-host/freebsd: ${whyNot}`)

type HalfMade = Record<string, (trial: FreebsdTrial, jail: JailSpec) => Promise<unknown>>

/** What a worker that is killed between two of its commands, or a command that is, leaves behind. */
const halfMade: HalfMade = {
  'runs without having been proven': async ({ host, layout }, jail) => {
    await provision(host, jail)
    await rm(layout.jail(jail.name).boot)
  },
  'has a file that was edited while it ran': async ({ host, layout }, jail) => {
    await provision(host, jail)
    const { conf } = layout.jail(jail.name)
    await writeFile(conf, `${readFileSync(conf, 'utf8')}\n`)
  },
  'has lost its file': async ({ host, layout }, jail) => {
    await provision(host, jail)
    await rm(layout.jail(jail.name).conf)
  },
  'has ended by itself': async ({ host, run }, jail) => {
    await run('jail', ['-R', `${await provision(host, jail)}`])
  },
  'has limits of a jail that is gone': ({ run }, jail) => run('rctl', ['-a', `jail:${jail.name}:maxproc:deny=1`]),
}

const onUfs: HalfMade = {
  'has a root that is half copied': async ({ layout }, jail) =>
    mkdirSync(join(layout.jail(jail.name).copying, 'tree/etc'), { recursive: true }),
}

const onVnet: HalfMade = {
  'has an epair without its names': ({ run, layout }, jail) =>
    run('ifconfig', ['epair', 'create', 'description', layout.jail(jail.name).mark]),
  'has an epair that is not on the bridge': async ({ run, layout }, jail) => {
    const { mark, hostEnd } = layout.jail(jail.name)
    const made = (await run('ifconfig', ['epair', 'create', 'description', mark])).stdout.trim()
    await run('ifconfig', [made, 'name', hostEnd])
  },
}

const statesOf = ({ storage, mode }: Settings): HalfMade => ({
  ...halfMade,
  ...(storage === 'ufs' ? onUfs : {}),
  ...(mode === 'vnet' ? onVnet : {}),
})

async function open(settings: Settings): Promise<ContractHost> {
  const trial = await freebsdTrial({ ...settings, scripts: contractScripts })
  const { layout, host, jail, snapshot, close } = trial
  return {
    host,
    jail,
    rootOf: ({ name }) => layout.jail(name).root,
    consoleOf: ({ name }) => {
      const path = layout.jail(name).console
      return existsSync(path) ? readFileSync(path, 'utf8') : ''
    },
    rcFailure: { message: '/bin/sh /etc/rc failed: out of luck', exitCode: 1 },
    snapshot,
    halfMade: Object.fromEntries(Object.entries(statesOf(settings)).map(([name, make]) => [name, (each) => make(trial, each)])),
    close,
  }
}

for (const settings of [
  { storage: 'zfs', mode: 'vnet' },
  { storage: 'ufs', mode: 'shared' },
] as const) {
  describe.skipIf(whyNot)(`the FreeBSD runtime on FreeBSD, ${settings.storage}, ${settings.mode}`, () => {
    hostRuntimeContract(Object.keys(statesOf(settings)), () => open(settings))
  })
}
