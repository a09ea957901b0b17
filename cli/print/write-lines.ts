import type { WriteStream } from 'node:tty'
import { printable } from './printable.ts'

/** Writes lines to standard output or standard error. On a terminal, what clients and jails have put into them does nothing to it. */
export function writeLines(output: Pick<WriteStream, 'isTTY' | 'write'>, lines: string[]): void {
  const text = `${lines.join('\n')}\n`
  output.write(output.isTTY ? printable(text) : text)
}
