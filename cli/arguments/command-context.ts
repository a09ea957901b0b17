import type { Client } from '../http/client.ts'

/** What a command is given. `client` reads the environment when it is first called: `--help` needs none. */
export type CommandContext = {
  client(): Client
  print(...lines: string[]): void
}

/** What was asked for was not done, or not all of it. `lines` tell a person. */
export class Unsuccessful extends Error {
  override readonly name = 'Unsuccessful'
  readonly lines: string[]

  constructor(lines: string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}
