import { Command } from 'commander'
import { z } from 'zod'
import { DryRunOfClean } from '#shared/host.ts'
import { Operation } from '#shared/operation.ts'
import { type CommandContext, Unsuccessful } from '../arguments/command-context.ts'
import { assertAskable, type ConfirmOptions, confirm, withConfirmation } from '../arguments/confirm.ts'
import { awaitOperation } from '../http/follow-operation.ts'
import type { WaitOptions } from '../operations/request-operation.ts'
import { showBoard } from '../print/live/show-board.ts'
import { acceptedLine, failureLines } from '../print/operation-lines.ts'
import { tableLines } from '../print/table.ts'

const Operations = z.object({ operations: z.array(Operation) })

export function cleanCommand(context: CommandContext): Command {
  const { client, print } = context
  const command = new Command('clean')
    .description(
      'destroy orphans: jails of a host that no record knows, with all that they hold; if named, also a jail that is missing in its journal; asks first',
    )
    .argument('<host>', 'its id')
    .argument('[jail...]', 'which of them (default: all)')
    .option('--wait', 'show the progress and end when all of them are gone')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, jails: string[], options: WaitOptions & ConfirmOptions, self: Command) => {
      assertAskable(self, options)
      const path = `/v1/hosts/${encodeURIComponent(id)}/clean`
      const body = jails.length > 0 ? { jails } : {}
      if (options.yes) return await clean(context, id, path, body, options)
      const answer = await client().send({ method: 'POST', path: `${path}?dryRun=true`, body })
      if (options.dryRun && options.json) return print(answer.text)
      const orphans = DryRunOfClean.parse(answer.body).jails
      if (orphans.length === 0) return print(noneLine(id))
      const lines = orphanLines(orphans)
      if (options.dryRun) return print(...lines)
      await confirm({
        lines,
        question: `Destroy ${count(orphans.length)} of ${id}, with all that ${orphans.length === 1 ? 'it holds' : 'they hold'}?`,
      })
      // Those that were named, and no orphan that has appeared since.
      await clean(context, id, path, { jails: orphans.map(({ name }) => name) }, options)
    })
  return withConfirmation(command, 'destroy nothing; say which orphans would go')
}

async function clean(
  { client, print }: CommandContext,
  id: string,
  path: string,
  body: { jails?: string[] },
  { wait, json }: WaitOptions,
): Promise<void> {
  const answer = await client().send({ method: 'POST', path, body })
  const { operations } = Operations.parse(answer.body)
  const ids = operations.map((operation) => operation.id)
  if (json && !wait) return print(answer.text)
  if (!json && ids.length === 0) return print(noneLine(id))
  if (!wait) return print(...operations.map(acceptedLine))
  const awaitEnd = async (operation: string) => Operation.parse((await awaitOperation(client(), operation)).body)
  const ended = json ? await Promise.all(ids.map(awaitEnd)) : await showBoard(client(), ids)
  if (json) print(JSON.stringify({ operations: ended }))
  else print(`${count(ended.filter(({ status }) => status === 'succeeded').length)} of ${id} destroyed.`)
  const failed = ended.filter(({ status }) => status !== 'succeeded')
  if (failed.length > 0) throw new Unsuccessful(failed.flatMap(failureLines))
}

function orphanLines(orphans: DryRunOfClean['jails']): string[] {
  const rows = orphans.map(({ name, client, world, addresses, since, refused }) => [
    name,
    client,
    world,
    addresses.join(' '),
    since,
    refused ? `cannot go now: ${refused.code}: ${refused.detail}` : '',
  ])
  return tableLines(['ORPHAN', 'CLIENT', 'WORLD', 'ADDRESSES', 'FOUND', ''], rows)
}

const noneLine = (host: string) => `There are no orphans on ${host}.`

function count(orphans: number): string {
  return orphans === 1 ? '1 orphan' : `${orphans} orphans`
}
