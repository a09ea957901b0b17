import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test as base } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import type { InJail } from '../../../support/freebsd/in-jail.ts'
import { type Settings, type TrialFreebsd, trialFreebsd } from '../../../support/hosts/trial-freebsd.ts'

export const { signal } = new AbortController()

/** A world with the scripts that FreeBSD's has, which here only pretend to run. */
export function fillWithRc(tree: string): void {
  for (const name of ['rc', 'rc.shutdown', 'pwd.db']) writeFileSync(join(tree, 'etc', name), '')
  mkdirSync(join(tree, 'sbin'))
  writeFileSync(join(tree, 'bin/httpd'), '', { mode: 0o755 })
}

type Fixture = {
  /** Opens a simulated host; all are removed after the test. */
  open(settings?: Settings): Promise<TrialFreebsd>
}

export const test = base.extend<Fixture>({
  open: async ({}, use) => {
    const made: TrialFreebsd[] = []
    await use(async (settings = {}) => {
      const trial = await trialFreebsd({ inJail: nothing, fill: fillWithRc, ...settings })
      made.push(trial)
      return trial
    })
    for (const trial of made) await trial.close()
  },
})

const nothing: InJail = () => ({})

/** Makes and starts a jail as a provision does. Returns its jid. */
export async function provision({ host }: Pick<TrialFreebsd, 'host'>, jail: JailSpec): Promise<number> {
  await host.ensureRoot(jail, signal)
  await host.ensureNetwork(jail, signal)
  const jid = await host.ensureJail(jail, signal)
  await host.startCommand(jail, signal)
  return jid
}

export async function stop({ host }: Pick<TrialFreebsd, 'host'>, jail: JailSpec): Promise<void> {
  await host.removeJail(jail, signal)
  await host.removeNetwork(jail, signal)
}

export async function destroy(trial: Pick<TrialFreebsd, 'host'>, jail: JailSpec): Promise<void> {
  await stop(trial, jail)
  await trial.host.removeRoot(jail, signal)
}

/** What a boot leaves of a host: its files, datasets and rc.conf. */
export function reboot(trial: TrialFreebsd): void {
  const { kernel } = trial
  kernel.jails.clear()
  kernel.nextJid = 1
  kernel.links = kernel.links.filter(({ kind, vnet }) => kind !== 'epair' && vnet === 0)
  for (const link of kernel.links) Object.assign(link, { members: [], addresses: link.kind === 'ether' ? [] : link.addresses })
  kernel.mounts = kernel.mounts.filter(({ fsType }) => fsType !== 'devfs')
  kernel.sysctl.set('kern.boot_id', 'ffffffffffffffffffffffffffffffff')
  kernel.rules = []
}

/** Returns the commands so far as lines, with short names for the places and for the jail's link, and forgets them. */
export function takeCommands({ commands, layout }: TrialFreebsd, jail: JailSpec): string[] {
  const { hostEnd, jailEnd, mark } = layout.jail(jail.name)
  const lines = commands.map((argv) =>
    argv
      .join(' ')
      .replaceAll(mark, 'MARK')
      .replaceAll(hostEnd, 'LINKa')
      .replaceAll(jailEnd, 'LINKb')
      .replaceAll(layout.directory, 'ROOT')
      .replace(/tiny-(a1)+/g, 'WORLD'),
  )
  commands.length = 0
  return lines
}

export async function faultsOf({ host }: Pick<TrialFreebsd, 'host'>, jail: JailSpec): Promise<string[]> {
  const { checks } = await host.proveIsolation(jail, signal)
  return checks.filter(({ ok }) => !ok).map(({ name }) => name)
}
