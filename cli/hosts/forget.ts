import { Command } from 'commander'
import { z } from 'zod'
import { DryRunOfForget } from '#shared/host.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { assertAskable, type ConfirmOptions, confirm, withConfirmation } from '../arguments/confirm.ts'

const Forgotten = z.object({
  host: z.string(),
  operationsFailed: z.int(),
  jailsForgotten: z.int(),
  addressesHeld: z.int(),
})
type Forgotten = z.infer<typeof Forgotten>

const description = [
  'Gives up a host that is down, after it has asked: its open operations fail with host_forgotten, and its jails',
  'are taken off the records. Nothing is done on the host itself, where the jails may still run; so their addresses are',
  'held and given to nobody else. Said with --powered-off, also later: the host is off for good, and they are free at once.',
  'Should the host come back, its jails are orphans: see `provost hosts adopt` and `provost hosts clean`.',
  'The same for a host that is there with another root than its jails are on: it is taken as it is from then on.',
].join(' ')

type ForgetOptions = ConfirmOptions & { poweredOff?: true; json?: true }

export function forgetCommand({ client, print }: CommandContext): Command {
  const command = new Command('forget')
    .summary('give up a host that is down: fail its operations, take its jails off the records; asks first')
    .description(description)
    .argument('<host>', 'its id')
    .option('--powered-off', 'the host is off and stays so: give its addresses free')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, options: ForgetOptions, self: Command) => {
      const { poweredOff, json, yes, dryRun } = options
      assertAskable(self, options)
      const request = {
        method: 'POST',
        path: `/v1/hosts/${encodeURIComponent(id)}/forget`,
        body: poweredOff ? { poweredOff } : {},
      } as const
      if (!yes) {
        const answer = await client().send({ ...request, path: `${request.path}?dryRun=true` })
        if (dryRun && json) return print(answer.text)
        const lines = goingLines(DryRunOfForget.parse(answer.body))
        if (dryRun) return print(...lines)
        await confirm({ lines, question: `Forget ${id}?` })
      }
      const answer = await client().send(request)
      print(...(json ? [answer.text] : forgottenLines(Forgotten.parse(answer.body))))
    })
  return withConfirmation(command, 'forget nothing; say what would go with the host')
}

/** What would go with a host, the addresses first, so that they are not cut off a long list. */
function goingLines({ host, operations, jails, addressesHeld, addressesFreed }: DryRunOfForget): string[] {
  return [
    `With ${host} would go, and nothing be done on the host itself:`,
    addressesFreed > 0 ? `  addresses free at once: ${addressesFreed}` : `  addresses held: ${addressesHeld}`,
    `  operations that fail: ${operations.length}`,
    ...operations.map(({ id, kind, jail }) => `    ${kind}${jail === null ? '' : ` of ${jail}`}: ${id}`),
    `  jails off the records: ${jails.length}`,
    ...jails.map(({ name, client, state, addresses }) => `    ${name} of ${client}, ${state}, ${addresses.join(' ')}`),
  ]
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
