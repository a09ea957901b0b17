import { DryRun, type Limits } from '#shared/jail.ts'
import { formatBytes } from '#shared/size.ts'
import { type CommandContext, Unsuccessful } from '../arguments/command-context.ts'
import { tableLines } from '../print/table.ts'

/** Asks where a jail would go, without making it. @throws Refusal, Unreachable, Unsuccessful when it fits nowhere */
export async function dryRun(
  { client, print }: CommandContext,
  jail: { name: string },
  { json }: { json?: true },
): Promise<void> {
  const answer = await client().send({ method: 'POST', path: '/v1/jails?dryRun=true', body: jail })
  const placement = DryRun.parse(answer.body)
  print(...(json ? [answer.text] : placementLines(jail.name, placement)))
  const { fits, reason } = placement
  if (fits) return
  throw new Unsuccessful([`${jail.name} fits on no host.`, ...(reason ? [`  ${reason.code}: ${reason.detail}`] : [])])
}

/** What each host answers and, if the jail fits, what it would get. */
function placementLines(name: string, { host, addresses, limits, hosts }: DryRun): string[] {
  const rows = hosts.map(({ host: id, fits, code, detail }) => [
    id,
    fits ? 'yes' : 'no',
    [code, detail].filter((text) => text !== undefined).join(': '),
  ])
  const at = addresses.length > 0 ? ` at ${addresses.join(' and ')}` : ''
  return [
    ...tableLines(['HOST', 'FITS', 'WHY'], rows),
    ...(host === null ? [] : [`${name} would go to ${host}${at}${limitText(limits)}`]),
  ]
}

function limitText(limits: Limits | null): string {
  if (!limits) return ''
  const { memory, cpu, processes, disk } = limits
  const texts = [`memory ${formatBytes(memory)}`, `cpu ${cpu}`, `processes ${processes}`]
  return `, with ${[...texts, ...(disk ? [`disk ${formatBytes(disk)}`] : [])].join(', ')}`
}
