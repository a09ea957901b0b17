import type { Command } from 'commander'
import { DryRunOfDestroy } from '#shared/batch.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { assertAskable, type ConfirmOptions, confirm, withConfirmation } from '../arguments/confirm.ts'
import { parseNumber } from '../arguments/parse-number.ts'
import { formatCount } from '../print/amounts.ts'
import { batchStatusLine, nextLines } from '../print/batch-lines.ts'
import { tableLines } from '../print/table.ts'
import { batchVerb, WithBatch } from './change-batch.ts'
import { watchBatch } from './watch-batch.ts'

type DestroyOptions = ConfirmOptions & {
  name?: string
  maxInFlight?: number
  maxFailureRate?: number
  watch?: true
  json?: true
}

export function destroyBatchCommand(context: CommandContext): Command {
  const command = batchVerb('destroy', 'destroy all jails that an ended batch has made, by a batch of its own; asks first')
    .option('--name <name>', 'what to call the batch that destroys them (default: destroy- and the name of the other)')
    .option('--max-in-flight <count>', 'at most so many jails at once (default: 50)', parseNumber)
    .option('--max-failure-rate <rate>', 'pause when a greater part than this has failed, 0 to 1', parseNumber)
    .option('--watch', 'show the progress and end when all of them are gone')
    .action(async (called: string, options: DestroyOptions, self: Command) => {
      assertAskable(self, options)
      const path = `/v1/batches/${encodeURIComponent(called)}/destroy`
      if (!options.yes) {
        const answer = await context.client().send({ method: 'POST', path: `${path}?dryRun=true` })
        if (options.dryRun && options.json) return context.print(answer.text)
        const going = DryRunOfDestroy.parse(answer.body)
        const lines = goingLines(going)
        if (options.dryRun || count(going) === 0) return context.print(...lines)
        await confirm({ lines, question: `Destroy ${jailsText(count(going))} of batch ${called}, with all that they hold?` })
      }
      await destroy(context, path, options)
    })
  return withConfirmation(command, 'destroy nothing; say which jails would go')
}

async function destroy(context: CommandContext, path: string, options: DestroyOptions): Promise<void> {
  const { name, maxInFlight, maxFailureRate, watch, json } = options
  const answer = await context.client().send({ method: 'POST', path, body: { name, maxInFlight, maxFailureRate } })
  const { batch } = WithBatch.parse(answer.body)
  if (json && !watch) return context.print(answer.text)
  if (!json) context.print(batchStatusLine(batch))
  if (watch) return await watchBatch(context, batch.id, json ? (ended) => ({ batch: ended }) : undefined)
  context.print(...nextLines(batch).map((line) => `  ${line}`))
}

function goingLines(going: DryRunOfDestroy): string[] {
  const { batch, jails, more, hosts, kept } = going
  const where = Object.entries(hosts).map(([host, jailsThere]) => `${formatCount(jailsThere)} on ${host}`)
  return [
    count(going) === 0
      ? `Batch ${batch} has no jails left.`
      : `${jailsText(count(going))} of batch ${batch} would go: ${where.join(', ')}`,
    ...(kept > 0 ? [`${jailsText(kept)} of its rows would stay: the batch has not made them`] : []),
    ...(jails.length > 0
      ? tableLines(
          ['JAIL', 'CLIENT', 'STATE', 'HOST'],
          jails.map(({ name, client, state, host }) => [name, client, state, host]),
        )
      : []),
    ...(more > 0 ? [`and ${formatCount(more)} more`] : []),
  ]
}

const count = ({ jails, more }: DryRunOfDestroy) => jails.length + more

function jailsText(jails: number): string {
  return jails === 1 ? '1 jail' : `${formatCount(jails)} jails`
}
