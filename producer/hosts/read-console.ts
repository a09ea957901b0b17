import { setTimeout as sleep } from 'node:timers/promises'
import { v7 as uuid } from 'uuid'
import { type ConsoleMark, ConsoleText } from '#shared/console.ts'
import { ProvostError } from '#shared/errors.ts'
import { sendNotice } from '../queues/send-notice.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import type { Store } from '../records/store.ts'

const patienceMs = 5_000
const pollMs = 30
const mostPollMs = 500

/** Which part of a console: its end, of at most so many bytes, or what came after a mark. */
type Part = { mostBytes: number; after?: ConsoleMark | undefined }

/**
 * Returns what a jail has printed, which its host is asked for. Undefined when the host does not have the jail yet, or any more.
 * @throws ProvostError `host_down` when no worker receives the question, `host_silent` when none answers it.
 */
export async function readConsole(
  store: Store,
  { name, host }: Pick<JailRecord, 'name' | 'host'>,
  part: Part,
): Promise<ConsoleText | undefined> {
  const request = uuid()
  const receivers = await sendNotice(store, host, { type: 'read-console', jail: name, request, ...part })
  if (receivers === 0) throw new ProvostError('host_down', `No worker of host ${host} is there to read what ${name} printed.`)
  const deadline = performance.now() + patienceMs
  for (let waitMs = pollMs; performance.now() < deadline; waitMs = Math.min(1.5 * waitMs, mostPollMs)) {
    const answer = await store.redis.getdel(store.keys.console(host, request))
    if (answer !== null) return ConsoleText.nullable().parse(JSON.parse(answer)) ?? undefined
    await sleep(waitMs)
  }
  throw new ProvostError('host_silent', `Host ${host} did not answer within ${patienceMs / 1000} s what ${name} printed.`)
}
