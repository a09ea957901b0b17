import type { Client } from '../http/client.ts'

/** What every command gets. `client` reads the environment only when called, since `--help` needs none. */
export type CommandContext = {
  client(): Client
  print(...lines: string[]): void
}

/** The request was not fulfilled, or only in part. `lines` explain it to a person. */
export class Unsuccessful extends Error {
  override readonly name = 'Unsuccessful'
  readonly lines: string[]

  constructor(lines: string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}
