import { existsSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { WorkerConfig } from '../config/config.ts'
import type { NamedCheck } from '../host/checks/check-result.ts'
import { checkRelease } from '../host/freebsd/checks/advisories.ts'
import { checkBoot, checkJailConf } from '../host/freebsd/checks/check-boot.ts'
import { layoutOf } from '../host/freebsd/layout.ts'
import type { RunCommand } from '../host/programs/run-command.ts'
import { checkClock } from './clock.ts'
import { checkFreeSpace } from './free-space.ts'
import { checkResolvers } from './resolvers.ts'
import { checkWorldPrograms } from './world-programs.ts'

type Deps = { run: RunCommand; config: WorkerConfig }

/**
 * Returns the checks for what a person should know of a host beyond what a worker needs. `HostRuntime.check` has the latter, and
 * a worker does not start when one fails; none of these keeps a worker from its running jails. A check here replaces the one
 * there that has its name.
 */
export async function adviceChecks({ run, config }: Deps): Promise<NamedCheck[]> {
  const common: NamedCheck[] = [
    ['worlds', () => checkWorldPrograms(config)],
    ['free space', () => checkFreeSpace(config.root, run)],
    ['clock', () => checkClock(config.redisUrl)],
    ['resolvers', () => checkResolvers(config)],
  ]
  if (config.runtime !== 'freebsd') return common
  const enrolled = await enrolledDirectory({ run, config })
  const bootChecks = enrolled ? checksAfterEnrolment(enrolled, { run, config }) : []
  return [['release', () => checkRelease(run)], ...bootChecks, ...common]
}

/** Checks that what the first start of a worker arranged is still there: without it jails do not come back at boot. */
function checksAfterEnrolment(directory: string, { run, config }: Deps): NamedCheck[] {
  const place = { run, etc: config.etcDir, layout: layoutOf(realpathSync(directory)) }
  return [
    ['boot', () => checkBoot(place)],
    ['jail.conf', () => checkJailConf(place)],
  ]
}

/** Returns the directory of a worker that has started here before; undefined when none has. */
async function enrolledDirectory({ run, config: { root } }: Deps): Promise<string | undefined> {
  const directory = root.startsWith('/') ? root : await mountpointOf(root, run)
  return directory && existsSync(join(directory, 'journal')) ? directory : undefined
}

async function mountpointOf(dataset: string, run: RunCommand): Promise<string | undefined> {
  const value = await run('zfs', ['get', '-H', '-o', 'value', 'mountpoint', dataset]).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  )
  return value?.startsWith('/') ? value : undefined
}
