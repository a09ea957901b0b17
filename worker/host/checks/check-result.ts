import { ProvostError } from '#shared/errors.ts'
import type { Check } from '../host-runtime.ts'

/** The result of one check of the host, with what to do when it is not ok. */
export type Result = Omit<Check, 'name'>
export const fine = (detail: string): Result => ({ ok: true, detail })
export const fault = (detail: string, remedy: string): Result => ({ ok: false, detail, remedy })
/** For what a person should know although nothing is known to be wrong: what could not be checked, or what will come. */
export const note = (detail: string, remedy: string): Result => ({ ok: true, detail, remedy })

/** A check and its name. What it throws becomes a fault, so that the other checks still run. */
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

/** @throws ProvostError `host_unfit` naming every check that failed, with its remedy. */
export function requireFit(checks: readonly Check[]): void {
  const failed = checks.filter(({ ok }) => !ok)
  if (failed.length === 0) return
  const list = failed.map(({ name, detail, remedy }) => `${name}: ${detail}${remedy ? ` ${remedy}` : ''}`)
  throw new ProvostError('host_unfit', `This host cannot run jails. ${list.join(' ')}`)
}
