/** The demo did not show what it was meant to show. */
export class NotShown extends Error {}

export function print(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
