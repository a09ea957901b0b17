/** What the demo set out to show and did not. */
export class NotShown extends Error {}

export function say(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
