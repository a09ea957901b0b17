import { join } from 'node:path'
import { z } from 'zod'
import { ProvostError } from '#shared/errors.ts'
import { replaceEntries } from './file.ts'
import type { Journal } from './journal.ts'
import { type AsideLog, readOrSetAside } from './set-aside.ts'

/** Where a root was when a worker was last started on it, and in which boot of its computer. */
const Place = z.object({ directory: z.string(), boot: z.string() })

type Deps = { directory: string; boot: string; journal: Pick<Journal, 'jails'>; log: AsideLog }

/**
 * Notes where this root is. Links, cgroups and namespaces of jails have names that come from its path: those of jails that run
 * would not be found from another one, and the jails would be started once more, with the same addresses.
 *
 * @throws ProvostError `host_unfit` when the root was elsewhere in this boot, and has jails that may run.
 */
export async function keepPlace({ directory, boot, journal, log }: Deps): Promise<void> {
  const file = join(directory, 'root-place')
  const [known] = (await readOrSetAside(file, (entries) => Place.array().parse(entries), log)) ?? []
  const isSameBoot = known?.boot === boot
  const isElsewhere = known !== undefined && known.directory !== directory
  const mayRun = journal.jails().some(({ settled, current }) => current !== undefined || settled?.wanted === 'running')
  if (isSameBoot && isElsewhere && mayRun)
    throw new ProvostError(
      'host_unfit',
      `The root ${directory} was ${known.directory} when its jails were started, and they may still run from there.`,
      {
        hint: 'Move it back, then start the worker again. To move it for good, stop its jails first (provost stop), or start this computer anew.',
      },
    )
  if (!isSameBoot || isElsewhere) await replaceEntries(file, [{ directory, boot }])
}
