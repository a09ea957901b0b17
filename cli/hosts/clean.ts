import { Command } from 'commander'
import { z } from 'zod'
import { Operation } from '#shared/operation.ts'
import { type CommandContext, Unsuccessful } from '../arguments/command-context.ts'
import { awaitOperation } from '../http/follow-operation.ts'
import type { WaitOptions } from '../operations/request-operation.ts'
import { acceptedLine, failureLines } from '../print/operation-lines.ts'
import { showBoard } from '../print/show-board.ts'

const Operations = z.object({ operations: z.array(Operation) })

export function cleanCommand({ client, print }: CommandContext): Command {
  return new Command('clean')
    .description('destroy orphans: jails of a host that no record knows, with all that they hold')
    .argument('<host>', 'its id')
    .argument('[jail...]', 'which of them (default: all)')
    .option('--wait', 'show the progress and end when all of them are gone')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, jails: string[], { wait, json }: WaitOptions) => {
      const body = jails.length > 0 ? { jails } : {}
      const answer = await client().send({ method: 'POST', path: `/v1/hosts/${encodeURIComponent(id)}/clean`, body })
      const { operations } = Operations.parse(answer.body)
      const ids = operations.map((operation) => operation.id)
      if (json && !wait) return print(answer.text)
      if (!json && ids.length === 0) return print(`There are no orphans on ${id}.`)
      if (!wait) return print(...operations.map(acceptedLine))
      const awaitEnd = async (operation: string) => Operation.parse((await awaitOperation(client(), operation)).body)
      const ended = json ? await Promise.all(ids.map(awaitEnd)) : await showBoard(client(), ids)
      if (json) print(JSON.stringify({ operations: ended }))
      else print(`${count(ended.filter(({ status }) => status === 'succeeded').length)} of ${id} destroyed.`)
      const failed = ended.filter(({ status }) => status !== 'succeeded')
      if (failed.length > 0) throw new Unsuccessful(failed.flatMap(failureLines))
    })
}

function count(orphans: number): string {
  return orphans === 1 ? '1 orphan' : `${orphans} orphans`
}
