import { setTimeout as sleep } from 'node:timers/promises'
import { type ConsoleMark, mostConsoleBytes } from '#shared/console.ts'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { JailRecord } from '../records/jails/jail-record.ts'
import type { Store } from '../records/store.ts'
import { readConsole } from './read-console.ts'

type Followed = Pick<JailRecord, 'name' | 'host' | 'provision'>
type Follower = { waiting: string; wake(): void }

const everyMs = 1_000
const mostMs = 10_000
const mostFollowers = 200
const retryAfterSeconds = 10

/** Follows consoles: whoever follows the same jail is told of the same reads, so that a host is asked once a second for all of them. */
export function makeConsoles(store: Store, limits = { everyMs, mostMs, mostFollowers }) {
  const consoles = new Map<string, Promise<Console>>()
  let count = 0
  return {
    /**
     * Returns what a jail has printed, of at most `mostBytes`, and then prints, until it is destroyed or `signal` is aborted. While its
     * host is down there is nothing; what the host does not have any more, or its reader is too slow for, is left out.
     * @throws ProvostError `too_many_followers`, and as `readConsole` does
     */
    async follow(jail: Followed, { mostBytes, signal }: { mostBytes: number; signal: AbortSignal }) {
      signal.throwIfAborted()
      if (count >= limits.mostFollowers)
        throw new ProvostError('too_many_followers', `This producer has ${count} calls that follow what jails print, its most.`, {
          retryAfter: retryAfterSeconds,
        })
      count += 1
      signal.addEventListener('abort', () => {
        count -= 1
      })
      const opened = consoles.get(jail.provision) ?? openConsole(store, jail, limits, () => consoles.delete(jail.provision))
      consoles.set(jail.provision, opened)
      opened.catch(() => consoles.delete(jail.provision))
      return (await opened).join(mostBytes, signal)
    },
  }
}

type Console = { join(mostBytes: number, signal: AbortSignal): Promise<AsyncGenerator<string, void, undefined>> }

async function openConsole(
  store: Store,
  jail: Followed,
  { everyMs, mostMs }: { everyMs: number; mostMs: number },
  onEnd: () => void,
): Promise<Console> {
  const first = await readConsole(store, jail, { mostBytes: mostConsoleBytes })
  const followers = new Set<Follower>()
  let last: ConsoleMark | undefined = first?.mark
  let recent = first?.text ?? ''
  let away: ProvostError | undefined
  let end: { error?: unknown } | undefined

  /** Returns whether the jail is still there. */
  async function look(): Promise<boolean> {
    const now = await store.records.jail(jail.name)
    if (now?.provision !== jail.provision) return false
    const next = await readConsole(store, now, { mostBytes: mostConsoleBytes, after: last }).catch((error) => {
      away = errorIfAway(error)
    })
    if (!next) return true
    away = undefined
    last = next.mark
    recent = tail(recent + next.text, mostConsoleBytes)
    for (const follower of next.text ? followers : []) {
      follower.waiting = tail(follower.waiting + next.text, mostConsoleBytes)
      follower.wake()
    }
    return true
  }

  let looking: Promise<boolean> | undefined
  const lookOnce = () => {
    looking ??= look().finally(() => {
      looking = undefined
    })
    return looking
  }

  async function followIt(): Promise<void> {
    let waitMs = everyMs
    for (;;) {
      await sleep(waitMs, undefined, { ref: false })
      if (followers.size === 0 || !(await lookOnce())) return onEnd()
      // A host that is away is asked ever more seldom.
      waitMs = away ? Math.min(2 * waitMs, mostMs) : everyMs
    }
  }
  const finish = (result: { error?: unknown }) => {
    end = result
    onEnd()
    for (const follower of followers) follower.wake()
  }
  followIt().then(
    () => finish({}),
    (error) => finish({ error }),
  )

  async function* printed(follower: Follower & { next(): Promise<void> }, signal: AbortSignal) {
    while (!signal.aborted) {
      const text = follower.waiting
      follower.waiting = ''
      if (text) yield text
      else if (end?.error) throw end.error
      else if (end) return
      else await follower.next()
    }
  }

  return {
    async join(mostBytes, signal) {
      let change = Promise.withResolvers<void>()
      const follower = {
        waiting: tail(recent, mostBytes),
        wake: () => change.resolve(),
        async next() {
          await change.promise
          change = Promise.withResolvers()
        },
      }
      const leave = () => {
        followers.delete(follower)
        follower.wake()
      }
      followers.add(follower)
      signal.addEventListener('abort', leave)
      if (signal.aborted) leave()
      // It may be back, and was not asked since.
      if (away) await lookOnce()
      if (away) throw away
      return printed(follower, signal)
    },
  }
}

function errorIfAway(thrown: unknown): ProvostError {
  const error = toProvostError(thrown)
  if (error.code === 'host_down' || error.code === 'host_silent') return error
  throw thrown
}

/** Returns the end of a text, of at most so many bytes; a character that is cut is left out. */
function tail(text: string, mostBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= mostBytes) return text
  let start = bytes.length - mostBytes
  while (start < bytes.length && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1
  return bytes.toString('utf8', start)
}
