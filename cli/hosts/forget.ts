import { Command } from 'commander'
import { z } from 'zod'
import type { CommandContext } from '../arguments/command-context.ts'

const Forgotten = z.object({
  host: z.string(),
  operationsFailed: z.int(),
  jailsForgotten: z.int(),
  addressesHeld: z.int(),
})
type Forgotten = z.infer<typeof Forgotten>

const description = [
  'Gives up a host that is down, at once and without asking: its open operations fail with host_forgotten, and its jails',
  'are taken off the records. Nothing is done on the host itself, where the jails may still run; so their addresses are',
  'held and given to nobody else. Said with --powered-off, also later: the host is off for good, and they are free at once.',
  'Should the host come back, its jails are orphans: see `provost hosts adopt` and `provost hosts clean`.',
].join(' ')

export function forgetCommand({ client, print }: CommandContext): Command {
  return new Command('forget')
    .summary('give up a host that is down: fail its operations, take its jails off the records')
    .description(description)
    .argument('<host>', 'its id')
    .option('--powered-off', 'the host is off and stays so: give its addresses free')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, { poweredOff, json }: { poweredOff?: true; json?: true }) => {
      const body = poweredOff ? { poweredOff } : {}
      const answer = await client().send({ method: 'POST', path: `/v1/hosts/${encodeURIComponent(id)}/forget`, body })
      print(...(json ? [answer.text] : forgottenLines(Forgotten.parse(answer.body))))
    })
}

function forgottenLines({ host, operationsFailed, jailsForgotten, addressesHeld }: Forgotten): string[] {
  return [
    `${host} is forgotten.`,
    `  operations that failed with it: ${operationsFailed}`,
    `  jails taken off the records: ${jailsForgotten}`,
    `  addresses still held: ${addressesHeld}`,
    ...(addressesHeld > 0
      ? [`  Its jails may still use them. Once it is off for good: provost hosts forget ${host} --powered-off`]
      : []),
  ]
}
