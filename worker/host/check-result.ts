import type { Check } from './host-runtime.ts'

/** What one check of the host found, with what to do where it is not well. */
export type Result = Omit<Check, 'name'>
export const fine = (detail: string): Result => ({ ok: true, detail })
export const fault = (detail: string, remedy: string): Result => ({ ok: false, detail, remedy })
/** Nothing is known to be wrong, but a person should know: what could not be checked, or what is to come. */
export const note = (detail: string, remedy: string): Result => ({ ok: true, detail, remedy })

/** A check by its name. What it throws becomes a fault: a check never ends the others. */
export type NamedCheck = readonly [name: string, check: () => Result | Promise<Result>]

export function runChecks(checks: readonly NamedCheck[]): Promise<Check[]> {
  return Promise.all(checks.map(async ([name, check]) => ({ name, ...(await settled(check)) })))
}

async function settled(check: NamedCheck[1]): Promise<Result> {
  try {
    return await check()
  } catch (error) {
    return fault(`Could not be checked: ${error instanceof Error ? error.message : error}`, 'See the cause in the detail.')
  }
}
