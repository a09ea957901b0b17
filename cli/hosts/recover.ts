import { setTimeout as pause } from 'node:timers/promises'
import { Command } from 'commander'
import { Recovery } from '#shared/recovery.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { tableLines } from '../print/table.ts'

const pollMs = 500

const description = [
  'A Redis that lost everything is noticed by itself: its records are rebuilt from the journals of the hosts, and until then',
  'nothing is accepted. This looks at once, shows how far each host is, and ends when all of it is done. A host that does',
  'not come back is given up with `provost hosts forget HOST`.',
].join(' ')

export function recoverCommand({ client, print }: CommandContext): Command {
  return new Command('recover')
    .summary('rebuild the records of a Redis that lost them, and show what is lost')
    .description(description)
    .option('--json', 'print the body of the HTTP answer')
    .action(async ({ json }: { json?: true }) => {
      let answer = await client().send({ method: 'POST', path: '/v1/recover' })
      const printed = new Map<string, string>()
      for (;;) {
        const recovery = Recovery.parse(answer.body)
        for (const host of recovery.state === 'recovering' && !json ? recovery.hosts : []) {
          const line = progressLine(host)
          if (printed.get(host.id) !== line) print(line)
          printed.set(host.id, line)
        }
        if (recovery.state === 'normal') return print(...(json ? [answer.text] : recoveryLines(recovery)))
        await pause(pollMs)
        answer = await client().get('/v1/recover')
      }
    })
}

type HostLine = Recovery['hosts'][number]

const meanings: Record<HostLine['state'], string> = {
  waiting: 'has not reported yet',
  uploading: 'uploads its journal',
  taken: 'is taken in',
  forgotten: 'is forgotten',
}

function progressLine({ id, state, jails, operations }: HostLine): string {
  const counts = state === 'uploading' || state === 'taken' ? `: ${jails} jails, ${operations} operations` : ''
  return `${id} ${meanings[state]}${counts}`
}

/** What was rebuilt, which jails could not be, and what no journal has. */
function recoveryLines({ fleet, hosts, lost }: Recovery): string[] {
  if (lost === null) return [`Nothing was lost: fleet ${fleet} has its records.`]
  const rows = hosts.map(({ id, state, jails, operations, conflicts }) =>
    [id, state, jails, operations, conflicts.length].map(String),
  )
  const conflicts = hosts.flatMap((host) => host.conflicts.map(({ jail, detail }) => `  ${jail} on ${host.id}: ${detail}`))
  return [
    `The records of fleet ${fleet} are rebuilt.`,
    ...tableLines(['HOST', 'STATE', 'JAILS', 'OPERATIONS', 'CONFLICTS'], rows),
    ...(conflicts.length > 0 ? ['Not taken in; see `provost hosts adopt` and `provost hosts clean`:', ...conflicts] : []),
    `Lost: ${lost}`,
  ]
}
