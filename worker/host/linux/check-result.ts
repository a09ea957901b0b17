import type { Check } from '../host-runtime.ts'

/** What one check of the host found, with what to do where it is not well. */
export type Result = Omit<Check, 'name'>
export const fine = (detail: string): Result => ({ ok: true, detail })
export const fault = (detail: string, remedy: string): Result => ({ ok: false, detail, remedy })
