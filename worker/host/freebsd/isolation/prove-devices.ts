import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Finding, some } from '../../jails/proofs.ts'
import { devfsRuleset } from '../jail/jail-parameters.ts'
import { differing, type Subject } from './subject.ts'

/** The names in /dev that rulesets 1 to 4 of devfs.rules(5) do not hide; 5 shows pf, too. */
const harmless = /^(null|zero|crypto|u?random|full|pty[pqrsPQRS].*|tty[pqrsPQRS].*|ptmx|pts|fd|std(in|out|err)|fuse|zfs)$/

/** Its /dev is a devfs(5) under the ruleset for jails, and shows no other device. A ruleset that is not loaded hides nothing. */
export function proveDevices({ host, jail, actual, mounts }: Subject): Finding {
  const dev = join(host.layout.jail(jail.name).root, 'dev')
  const { mode } = host.config.network
  const faults = differing(actual, { devfs_ruleset: devfsRuleset[mode] })
  if (mounts.findLast(({ point }) => point === dev)?.fsType !== 'devfs')
    return { faults: [...faults, 'has no devfs on /dev'], fine: '' }

  const seen = readdirSync(dev, { withFileTypes: true }).filter((entry) => !entry.isSymbolicLink())
  const strange = seen.map(({ name }) => name).filter((name) => !harmless.test(name) && !(mode === 'vnet' && name === 'pf'))
  if (strange.length > 0) faults.push(`has devices that it should not: ${some(strange)}`)
  return { faults, fine: `/dev has ruleset ${devfsRuleset[mode]} and shows ${seen.length} harmless entries` }
}
