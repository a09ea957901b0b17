import { until } from './until.ts'

/** Asks until `condition` holds. @throws Error when it does not within the time. */
export async function waitUntil(condition: () => boolean | Promise<boolean>, withinMs?: number): Promise<void> {
  await until(`${condition}`, async () => condition(), withinMs)
}
