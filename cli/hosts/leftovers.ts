import { Command } from 'commander'
import { z } from 'zod'
import { Leftover } from '#shared/host.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { formatAge } from '../print/amounts.ts'
import { tableLines } from '../print/table.ts'

const Leftovers = z.object({ items: z.array(Leftover) })

export function leftoversCommand({ client, print }: CommandContext): Command {
  return new Command('leftovers')
    .description('what a host could not remove after a failure, a cancel or a destroy, and when it tries again')
    .argument('<host>', 'its id')
    .option('--retry', 'let it try all of them now')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, { retry, json }: { retry?: true; json?: true }) => {
      const path = `/v1/hosts/${encodeURIComponent(id)}/leftovers`
      const answer = retry ? await client().send({ method: 'POST', path: `${path}/retry` }) : await client().get(path)
      if (json) return print(answer.text)
      const { items } = Leftovers.parse(answer.body)
      print(...(retry ? [`${id} tries them now.`] : []), ...leftoverLines(id, items, Date.now()))
    })
}

export function leftoverLines(host: string, items: Leftover[], now: number): string[] {
  if (items.length === 0) return [`Nothing is left on ${host}.`]
  return tableLines(
    ['JAIL', 'STEPS', 'SINCE', 'TRIED', 'NEXT TRY', 'WHY'],
    items.map(({ jail, steps, since, attempts, nextTryAt, lastError }) => [
      jail,
      steps.join(' '),
      `${formatAge(since, now)} ago`,
      attempts === 1 ? 'once' : `${attempts} times`,
      Date.parse(nextTryAt) <= now ? 'now' : `in ${formatAge(new Date(now).toISOString(), Date.parse(nextTryAt))}`,
      lastError,
    ]),
  )
}
