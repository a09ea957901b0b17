import type { Operation } from '#shared/operation.ts'
import type { Client } from './http/client.ts'

/** What a command is given. `client` reads the environment when it is first called: `--help` needs none. */
export type CommandContext = {
  client(): Client
  print(...lines: string[]): void
}

/** An operation that a command waited for did not end as asked. */
export class Unsuccessful extends Error {
  override readonly name = 'Unsuccessful'
  readonly operation: Operation

  constructor(operation: Operation) {
    super(`The ${operation.kind} of ${operation.jail} ended ${operation.status}.`)
    this.operation = operation
  }
}
