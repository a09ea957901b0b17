import { hasEnded } from '#shared/operation.ts'
import type { EventFeed } from '../../records/event-feed.ts'
import type { NewOperation } from '../../records/operations/operation-record.ts'
import type { Records } from '../../records/records.ts'

const longestWaitSeconds = 60
/** How often the record is read all the same: an event may be late by as long as a silent connection to Redis is believed. */
const lookAgainMs = 2_000

/**
 * Returns the seconds of `Prefer: wait=SECONDS`, at most 60, if it is given. A preference that cannot be read is ignored, of
 * several the first counts (RFC 7240, 2 and 4.3).
 */
export function waitSeconds(header: string | string[] | undefined): number | undefined {
  // A comma within quotes separates nothing. Each character is looked at once, also where a quote is never closed.
  const preferences =
    [header ?? '']
      .flat()
      .join(',')
      .match(/(?:"(?:[^"\\]|\\.)*"?|[^,"])+/g) ?? []
  const wait = preferences.find((preference) => /^\s*wait\s*(?:[=;]|$)/i.test(preference))
  const seconds = /^\s*wait\s*=\s*("?)(\d+)\1\s*(?:;|$)/i.exec(wait ?? '')?.[2]
  return seconds === undefined ? undefined : Math.min(Number(seconds), longestWaitSeconds)
}

/** Returns the operation once it has ended, or as it is when the time is up. */
export async function waitForEnd(
  operation: NewOperation,
  seconds: number,
  feed: EventFeed,
  records: Records,
): Promise<NewOperation> {
  const { promise: ended, resolve } = Promise.withResolvers<NewOperation>()
  let latest = operation
  const look = async () => {
    latest = (await records.operation(operation.id)) ?? latest
    if (hasEnded(latest.status)) resolve(latest)
  }
  const lookOnceMore = () =>
    look()
      .catch(() => undefined)
      .finally(() => resolve(latest))
  const lookQuietly = () => void look().catch(() => undefined)
  const unsubscribe = feed.subscribe(lookQuietly, lookOnceMore, operation.id)
  const again = setInterval(lookQuietly, lookAgainMs)
  const timer = setTimeout(lookOnceMore, seconds * 1000)
  try {
    await look()
    return await ended
  } finally {
    unsubscribe()
    clearInterval(again)
    clearTimeout(timer)
  }
}
