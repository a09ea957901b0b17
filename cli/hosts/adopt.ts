import { Command } from 'commander'
import { z } from 'zod'
import { type CommandContext, Unsuccessful } from '../arguments/command-context.ts'

const Adopted = z.object({
  adopted: z.array(z.string()),
  refused: z.array(z.object({ jail: z.string(), code: z.string(), detail: z.string() })),
})
type Adopted = z.infer<typeof Adopted>

export function adoptCommand({ client, print }: CommandContext): Command {
  return new Command('adopt')
    .description(
      'take orphans into the fleet: jails of a host that no record knows get their records back, and go on as they are',
    )
    .argument('<host>', 'its id')
    .argument('[jail...]', 'which of them (default: all)')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, jails: string[], { json }: { json?: true }) => {
      const body = jails.length > 0 ? { jails } : {}
      const answer = await client().send({ method: 'POST', path: `/v1/hosts/${encodeURIComponent(id)}/adopt`, body })
      const outcome = Adopted.parse(answer.body)
      print(...(json ? [answer.text] : [adoptedLine(id, outcome)]))
      if (outcome.refused.length > 0) throw new Unsuccessful(outcome.refused.map(refusedLine))
    })
}

function adoptedLine(host: string, { adopted, refused }: Adopted): string {
  if (adopted.length > 0) return `Adopted on ${host}: ${adopted.join(' ')}`
  return refused.length > 0 ? `Adopted nothing on ${host}.` : `There are no orphans on ${host}.`
}

function refusedLine({ jail, code, detail }: Adopted['refused'][number]): string {
  return `${jail} was not adopted: ${code}: ${detail}`
}
