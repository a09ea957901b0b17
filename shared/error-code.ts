import { z } from 'zod'
import { errorCodes } from './errors.ts'

/** An error code in an answer. Any text is read: a newer producer, or an older record, may have another one. */
export const ErrorCodeText = z.string().meta({ id: 'ErrorCode', enum: errorCodes, examples: ['no_capacity'] })
