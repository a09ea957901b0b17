import { z } from 'zod'

/** The query of a call that can be tried: it then answers what it would do, and does nothing. */
export const DryRunQuery = z.strictObject({
  dryRun: z.enum(['true', 'false']).default('false').describe('Answers what would be done; nothing is done.'),
})
