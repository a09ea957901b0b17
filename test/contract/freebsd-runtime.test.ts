import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { findProgram } from '../../worker/host/programs/run-command.ts'
import { whyNoHostTests } from '../support/hosts/host-fitness.ts'
import { type Settings, type TrialFreebsd, trialFreebsd } from '../support/hosts/trial-freebsd.ts'
import { provision } from '../support/hosts/trial-host.ts'
import { type ContractHost, contractScripts, hostRuntimeContract } from './host-runtime-contract.ts'

const whyNot =
  process.platform === 'linux' ? whyNoHostTests() : 'its doubles run on Linux; on FreeBSD test/on-host has the real ones.'
if (whyNot) console.warn(`NOT RUN HERE: the contract of the FreeBSD runtime on doubles: ${whyNot}`)

const { signal } = new AbortController()

type HalfMade = Record<string, (trial: TrialFreebsd, jail: JailSpec) => Promise<unknown>>

const onUfs: HalfMade = {
  'has a root that is half copied': async ({ layout }, jail) =>
    mkdirSync(join(layout.jail(jail.name).copying, 'tree/etc'), { recursive: true }),
}

/** What a worker that is killed between two of its commands, or a command that is, leaves behind. */
const halfMade: HalfMade = {
  'runs without having been proven': async ({ host, layout }, jail) => {
    await provision(host, jail)
    await rm(layout.jail(jail.name).boot)
  },
  'has a file that was not checked': async ({ host, layout }, jail) => {
    await host.ensureNetwork(jail, signal)
    mkdirSync(layout.jail(jail.name).directory, { recursive: true })
    await writeFile(`${layout.jail(jail.name).conf}.unchecked`, 'j { pat')
  },
  'has a file that was edited while it ran': async ({ host, layout }, jail) => {
    await provision(host, jail)
    const { conf } = layout.jail(jail.name)
    await writeFile(conf, readFileSync(conf, 'utf8').replaceAll('10.0.0.', '10.0.0.2'))
  },
  'has lost its file': async ({ host, layout }, jail) => {
    await provision(host, jail)
    await rm(layout.jail(jail.name).conf)
  },
  'has ended by itself': async ({ host, run }, jail) => {
    const jid = await provision(host, jail)
    await run('jail', ['-R', `${jid}`])
  },
  'has limits of a jail that is gone': async ({ run }, jail) => {
    await run('rctl', ['-a', `jail:${jail.name}:maxproc:deny=1`])
  },
}

const onVnet: HalfMade = {
  'has an epair without its names': async ({ run, layout }, jail) => {
    await run('ifconfig', ['epair', 'create', 'description', layout.jail(jail.name).mark])
  },
  'has an epair that is not on the bridge': async ({ run, layout }, jail) => {
    const { mark, hostEnd } = layout.jail(jail.name)
    const made = (await run('ifconfig', ['epair', 'create', 'description', mark])).stdout.trim()
    await run('ifconfig', [made, 'name', hostEnd])
  },
}

async function open(settings: Settings): Promise<ContractHost> {
  const trial = await trialFreebsd({ ...settings, fill: fillTinyWorld })
  const { layout, kernel, etc } = trial
  const states = statesOf(settings)
  return {
    host: trial.host,
    jail: trial.jail,
    rootOf: (jail) => layout.jail(jail.name).root,
    consoleOf: (jail) => {
      const path = layout.jail(jail.name).console
      return existsSync(path) ? readFileSync(path, 'utf8') : ''
    },
    rcFailure: { message: '/bin/sh /etc/rc failed: out of luck', exitCode: 1 },
    snapshot: () => ({
      jails: [...kernel.jails.values()].map(({ name }) => name),
      links: kernel.links.map(({ name, addresses, members }) => ({ name, addresses: [...addresses], members: [...members] })),
      mounts: kernel.mounts.filter(({ device }) => !device.includes('/worlds/')),
      datasets: [...kernel.datasets.keys()].filter((name) => !name.includes('/worlds/')).sort(),
      rules: [...kernel.rules],
      files: [layout.jails, layout.roots, layout.boot].flatMap((path) => readdirSync(path).map((name) => join(path, name))),
      etc: readdirSync(etc),
    }),
    halfMade: Object.fromEntries(Object.entries(states).map(([name, make]) => [name, (jail) => make(trial, jail)])),
    close: trial.close,
  }
}

function statesOf({ storage, mode }: Settings): HalfMade {
  return { ...halfMade, ...(storage === 'ufs' ? onUfs : {}), ...(mode === 'vnet' ? onVnet : {}) }
}

function fillTinyWorld(tree: string): void {
  copyFileSync(findProgram('busybox', '/bin:/usr/bin') ?? '', join(tree, 'bin/busybox'))
  writeFileSync(join(tree, 'etc/pwd.db'), '')
  for (const applet of ['sh', 'sleep', 'echo', 'cat']) symlinkSync('busybox', join(tree, 'bin', applet))
  for (const [path, text] of Object.entries(contractScripts)) {
    writeFileSync(join(tree, path), text)
    chmodSync(join(tree, path), 0o755)
  }
}

for (const storage of ['ufs', 'zfs'] as const) {
  for (const mode of ['shared', 'vnet'] as const) {
    describe.skipIf(whyNot)(`the FreeBSD runtime on doubles, ${storage}, ${mode}`, () => {
      hostRuntimeContract(Object.keys(statesOf({ storage, mode })), () => open({ storage, mode }))
    })
  }
}

// A worker starts programs by commandPath, and knows nothing of a simulation.
describe.skipIf(whyNot)('the FreeBSD runtime on doubles that are executables, ufs, shared', () => {
  const settings: Settings = { storage: 'ufs', mode: 'shared', served: true }
  hostRuntimeContract(Object.keys(statesOf(settings)), () => open(settings))
})
