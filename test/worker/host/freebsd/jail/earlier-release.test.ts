import { chmodSync, cpSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { jailConf } from '../../../../../worker/host/freebsd/jail/jail-conf.ts'
import { jailParameters } from '../../../../../worker/host/freebsd/jail/jail-parameters.ts'
import { limitRules } from '../../../../../worker/host/freebsd/limits/limits.ts'
import { runBootService } from '../../../../support/hosts/run-boot-service.ts'
import type { TrialFreebsd } from '../../../../support/hosts/trial-freebsd.ts'
import { destroy, faultsOf, provision, reboot, signal, stop, test } from '../host-test.ts'

const kinds = (['shared', 'vnet'] as const).flatMap((mode) => (['ufs', 'zfs'] as const).map((storage) => ({ mode, storage })))

/**
 * Makes a jail as the release before the boot service did: `no_dad` in its file, which the next boot starts it by, rules of memory that
 * hold nothing, no file of its limits; jail.conf and rctl.conf name it, rc.conf starts those.
 */
async function provisionAsBefore(trial: TrialFreebsd, jail: JailSpec): Promise<number | undefined> {
  const { host, run, layout, config, etc, directory, kernel } = trial
  const { conf, boot, directory: own, bootLimits } = layout.jail(jail.name)
  await host.ensureRoot(jail, signal)
  await host.ensureNetwork(jail, signal)
  const now = jailParameters({ config, layout } as never, jail)
  const addresses = [now['ip6.addr'] ?? []].flat().map((address) => `${address} no_dad`)
  const { 'exec.created': created, ...former } = now
  // That release was installed elsewhere, where it is no more afterwards.
  const place = join(directory, 'provost-former')
  const [prestart = '', script = ''] = /^\/bin\/sh (\S+)/.exec(`${now['exec.prestart']}`) ?? []
  if (script) cpSync(script, join(place, 'attach-epair.sh'))
  const parameters =
    config.network.mode === 'vnet'
      ? { ...now, 'exec.prestart': `${now['exec.prestart']}`.replace(prestart, `/bin/sh ${place}/attach-epair.sh`) }
      : { ...former, 'ip6.addr': addresses }
  mkdirSync(own, { recursive: true, mode: 0o700 })
  writeFileSync(conf, jailConf(jail.name, parameters as typeof now))
  const rules = limitRules(trial, jail).map((rule) => rule.replace('memoryuse:sigkill', 'memoryuse:deny'))
  for (const rule of rules) await run('rctl', ['-a', rule])
  await run('jail', ['-c', '-f', conf, jail.name])
  rmSync(place, { recursive: true, force: true })
  linkSync(conf, boot)
  rmSync(bootLimits, { force: true })
  writeFileSync(join(etc, 'jail.conf'), `# The jails that Provost brings back at boot.\n.include "${layout.boot}/*.conf";\n`)
  writeFileSync(join(etc, 'rctl.conf'), `# BEGIN provost ${layout.tag}\n${rules.join('\n')}\n# END provost ${layout.tag}\n`)
  const service = join(directory, 'usr/local/etc/rc.d/provost_jails')
  chmodSync(service, 0o755)
  rmSync(service)
  for (const name of ['provost_jails_enable', 'provost_jails_boot']) kernel.rcConf.delete(name)
  kernel.rcConf.set('jail_enable', 'YES').set('rctl_enable', 'YES')
  return [...kernel.jails.values()].find(({ name }) => name === jail.name)?.jid
}

const shared = ({ kernel }: TrialFreebsd) => kernel.links.find(({ name }) => name === 'em0')

describe('a jail that an earlier release made', () => {
  test.for(kinds)('runs on under a worker of this one, and is held as its own are: $mode, $storage', async (kind, { open }) => {
    const trial = await open(kind)
    const jail = trial.jail()
    const before = structuredClone(trial.kernel.links)
    const jid = await provisionAsBefore(trial, jail)
    const host = trial.runtime()
    await host.open()
    expect(await provision({ host }, jail)).toBe(jid)
    expect(trial.kernel.rules).toEqual(limitRules(trial, jail))
    expect(await faultsOf({ host }, jail)).toEqual([])
    const { conf, boot, bootLimits } = trial.layout.jail(jail.name)
    expect(readFileSync(bootLimits, 'utf8')).toBe(
      limitRules(trial, jail)
        .map((rule) => `${rule}\n`)
        .join(''),
    )
    // What the next boot and its end go by is of this release.
    expect(readFileSync(conf, 'utf8')).not.toMatch(/provost-former|em0.* no_dad/)
    expect(readFileSync(boot, 'utf8')).toBe(readFileSync(conf, 'utf8'))
    await destroy({ host }, jail)
    expect(trial.kernel.links.map(({ name, addresses }) => ({ name, addresses }))).toEqual(
      before.map(({ name, addresses }) => ({ name, addresses })),
    )
    expect(trial.kernel.rules).toEqual([])
  })

  test.for(kinds)('comes back at the next boot as those of this one do: $mode, $storage', async (kind, { open }) => {
    const trial = await open(kind)
    const jail = trial.jail()
    await provisionAsBefore(trial, jail)
    const host = trial.runtime()
    await host.open()
    await provision({ host }, jail)
    reboot(trial)
    Object.assign(shared(trial) ?? {}, { noDad: false })
    // rc.conf(5) makes the bridge.
    await trial.runtime().open()
    expect(await runBootService(trial, 'start')).toBe(`Starting jails of Provost: ${jail.name}.\n`)
    expect(await faultsOf(trial, jail)).toEqual([])
    expect(shared(trial)?.noDad ?? false).toBe(false)
    await stop(trial, jail)
    expect([...trial.kernel.jails.values()]).toEqual([])
  })

  test('whose file was edited under it runs on by what it was asked for', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    const jid = await provision(trial, jail)
    const { conf, boot } = trial.layout.jail(jail.name)
    const written = readFileSync(conf, 'utf8')
    writeFileSync(conf, written.replace('10.0.0.11', '10.0.0.77'))
    expect(await provision({ host: trial.runtime() }, jail)).toBe(jid)
    expect([conf, boot].map((path) => readFileSync(path, 'utf8'))).toEqual([written, written])
  })
})
