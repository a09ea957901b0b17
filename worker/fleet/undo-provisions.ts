import type { Logger } from 'pino'
import type { ProvostError } from '#shared/errors.ts'
import { endAbandoned } from '../plans/end-operation.ts'
import type { OperationLog } from '../plans/operation-log.ts'
import type { RunDeps } from '../plans/run.ts'

type Deps = { hostId: string; runDeps: RunDeps; log: Pick<Logger, 'warn' | 'error'> }

const noLog: OperationLog = { heading: () => undefined, note: () => undefined, record: () => undefined }

/**
 * Undoes the provisions that this worker has begun and not ended, once another worker has its host's name: that one makes the jails,
 * and two must not live with one address. Reports nothing, since the operations are the other's. What is done to jails that
 * clients have had is left for a worker that has the name again.
 */
export async function undoProvisions(why: ProvostError, { hostId, runDeps, log }: Deps): Promise<void> {
  const quiet = {
    ...runDeps,
    send: async () => undefined,
    deliver: async () => undefined,
    stopping: new AbortController().signal,
  }
  for (const { spec, current } of runDeps.journal.jails()) {
    if (current?.kind !== 'provision') continue
    log.warn({ jail: spec.name, operation: current.operation }, 'a provision is undone: another worker has the name of this host')
    await runDeps
      .withJail(spec.name, () => endAbandoned(current, hostId, why, noLog, quiet))
      .catch((error) => log.error({ err: error, jail: spec.name }, 'a provision could not be undone'))
  }
}
