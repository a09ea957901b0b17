import { hasEnded } from '#shared/operation.ts'
import type { EventFeed } from '../records/event-feed.ts'
import type { NewOperation } from '../records/operations/operation-record.ts'
import type { Records } from '../records/records.ts'
import { invalid } from './http-errors.ts'

/** Returns the seconds of `Prefer: wait=SECONDS` (RFC 7240, 4.3), 1 to 60, if given. @throws ProvostError `invalid_request`. */
export function waitSeconds(header: string | string[] | undefined): number | undefined {
  const preference = [header ?? '']
    .flat()
    .join(',')
    .split(',')
    .map((part) => part.trim().split(';')[0] ?? '')
    .find((part) => /^wait\b/i.test(part))
  if (preference === undefined) return undefined
  const match = /^wait\s*=\s*"?(\d{1,4})"?$/i.exec(preference)
  const seconds = Number(match?.[1])
  if (!match || seconds < 1 || seconds > 60)
    throw invalid([{ field: 'Prefer', message: 'wait must be 1 to 60 seconds, like wait=30' }])
  return seconds
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
  const unsubscribe = feed.subscribe(() => void look().catch(() => undefined), lookOnceMore, operation.id)
  const timer = setTimeout(lookOnceMore, seconds * 1000)
  try {
    await look()
    return await ended
  } finally {
    unsubscribe()
    clearTimeout(timer)
  }
}
