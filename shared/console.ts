import { z } from 'zod'

/** A place in a console: a file, and how far in it. */
export const ConsoleMark = z.object({ file: z.int(), offset: z.int() })
export type ConsoleMark = z.infer<typeof ConsoleMark>

/** What a host has read of a console, and the mark of its end. `skipped`: something before it is gone, or was left out. */
export const ConsoleText = z.object({ text: z.string(), mark: ConsoleMark, skipped: z.boolean() })
export type ConsoleText = z.infer<typeof ConsoleText>

/** How much of a console is read at once, at most. */
export const mostConsoleBytes = 256 * 1024
