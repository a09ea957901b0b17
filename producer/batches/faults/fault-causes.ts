import type { FaultCause } from '#shared/batch.ts'

/**
 * A fault as it is found. `cause`: the message without what differs between rows, if something does. `suggest`: what may be meant
 * by the value; it takes a while.
 */
export type FoundFault = { field: string; message: string; cause?: string; value?: string; suggest?: () => string | undefined }

/** How many causes are told apart, values of one, and lines of a value: however large a file is, this is all that is kept of it. */
const [mostCauses, mostValues, mostLines] = [50, 20, 5]

type Cause = { count: number; values: Map<string | undefined, FaultCause> }

/** Collects faults by their cause and value. */
export function makeFaultCauses() {
  const causes = new Map<string, Cause>()

  function placeOf({ field, message, cause = message, value, suggest }: FoundFault): FaultCause | undefined {
    const id = JSON.stringify([field, cause])
    const known = causes.get(id) ?? { count: 0, values: new Map() }
    if (known.count === 0 && causes.size === mostCauses) return undefined
    causes.set(id, known)
    known.count += 1
    const named = known.values.has(value) || known.values.size < mostValues ? value : undefined
    const place = known.values.get(named)
    if (place) return place
    const suggestion = named === undefined ? undefined : suggest?.()
    const facts = { ...(named === undefined ? {} : { value: named }), ...(suggestion === undefined ? {} : { suggestion }) }
    const made = { field, message: cause, ...facts, count: 0, lines: [] }
    known.values.set(named, made)
    return made
  }

  return {
    add(line: number, fault: FoundFault): void {
      const place = placeOf(fault)
      if (!place) return
      place.count += 1
      if (place.lines.length < mostLines && place.lines.at(-1) !== line) place.lines.push(line)
    },
    /** Returns the most frequent cause first, of each the most frequent value, and last those values that are not named. */
    list: (): FaultCause[] =>
      [...causes.values()]
        .sort((a, b) => b.count - a.count)
        .flatMap(({ values }) =>
          [...values.values()].sort((a, b) => Number(b.value !== undefined) - Number(a.value !== undefined) || b.count - a.count),
        ),
  }
}
