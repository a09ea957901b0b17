import { z } from 'zod'

/** `optional`: what bears no signature is obeyed, too, of and by hosts that have not joined. Only while an older fleet is upgraded. */
export const Signatures = z.enum(['required', 'optional']).default('required')
export type Signatures = z.output<typeof Signatures>
