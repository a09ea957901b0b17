import { setTimeout as sleep } from 'node:timers/promises'
import { v7 as uuid } from 'uuid'
import { type ConsoleMark, ConsoleText } from '#shared/console.ts'
import { ProvostError } from '#shared/errors.ts'
import type { HostNotice } from '#shared/job.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import type { Store } from '../records/store.ts'

const patienceMs = 5_000
const pollMs = 30
const everyMs = 1_000

/** Which part of a console: its end, of at most so many bytes, or what came after a mark. */
type Part = { mostBytes: number; after?: ConsoleMark | undefined }

/**
 * Returns what a jail has printed, which its host is asked for. Undefined when the host does not have the jail yet, or any more.
 * @throws ProvostError `host_down` when no worker receives the question, `host_silent` when none answers it.
 */
export async function readConsole(
  { redis, keys }: Store,
  { name, host }: Pick<JailRecord, 'name' | 'host'>,
  part: Part,
): Promise<ConsoleText | undefined> {
  const request = uuid()
  const notice: HostNotice = { type: 'read-console', jail: name, request, ...part }
  const receivers = await redis.publish(keys.notices(host), JSON.stringify(notice))
  if (receivers === 0) throw new ProvostError('host_down', `No worker of host ${host} is there to read what ${name} printed.`)
  const deadline = performance.now() + patienceMs
  while (performance.now() < deadline) {
    const answer = await redis.getdel(keys.console(host, request))
    if (answer !== null) return ConsoleText.nullable().parse(JSON.parse(answer)) ?? undefined
    await sleep(pollMs)
  }
  throw new ProvostError('host_silent', `Host ${host} did not answer within ${patienceMs / 1000} s what ${name} printed.`)
}

/**
 * Yields what a jail has printed and then prints, until it is destroyed or `signal` is aborted. While its host is down there is
 * nothing; what the host does not have any more is left out.
 */
export async function* followConsole(
  store: Store,
  jail: Pick<JailRecord, 'name' | 'host' | 'provision'>,
  first: ConsoleText | undefined,
  { mostBytes, signal }: { mostBytes: number; signal: AbortSignal },
): AsyncGenerator<string, void, undefined> {
  let last = first
  if (first?.text) yield first.text
  for (;;) {
    await sleep(everyMs, undefined, { signal }).catch(() => undefined)
    const now = signal.aborted ? undefined : await store.records.jail(jail.name)
    if (now?.provision !== jail.provision) return
    const next = await readConsole(store, now, { mostBytes, after: last?.mark }).catch(undefinedIfAway)
    if (next?.text) yield next.text
    last = next ?? last
  }
}

function undefinedIfAway(error: unknown): undefined {
  if (error instanceof ProvostError && (error.code === 'host_down' || error.code === 'host_silent')) return undefined
  throw error
}
