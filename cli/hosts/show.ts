import { Command } from 'commander'
import { type Host, HostInDetail, type SetuidSupport, type WorldState } from '#shared/host.ts'
import { formatBytes } from '#shared/size.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { formatAge, formatClock, formatCores } from '../print/amounts.ts'
import { type Fact, factLines } from '../print/fact-lines.ts'
import { tableLines } from '../print/table.ts'
import { worldStateText } from './worlds.ts'

export function showHostCommand({ client, print }: CommandContext): Command {
  return new Command('show')
    .description('one host: what it has and has promised, its worlds and pools, and jails it has otherwise than recorded')
    .argument('<host>', 'its id')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, { json }: { json?: true }) => {
      const answer = await client().get(`/v1/hosts/${encodeURIComponent(id)}`)
      if (json) return print(answer.text)
      print(...hostLines(HostInDetail.parse(answer.body), Date.now()))
    })
}

export function hostLines(host: HostInDetail, now: number): string[] {
  const tables = [worldTable(host.worlds), poolTable(host.pools), driftTable(host)]
  return [...factsOf(host, now), ...tables.flatMap((lines) => (lines.length > 0 ? ['', ...lines] : []))]
}

const setuidTexts: Record<SetuidSupport, string> = {
  never: 'setuid programs give no rights in its jails',
  'on-request': 'setuid programs give their rights in jails that ask for it',
  always: 'setuid programs give their rights in all its jails',
}

function factsOf(host: Host, now: number): string[] {
  const { promised, capacity, load, versions } = host
  return factLines([
    ['host', host.id],
    ['state', host.reason ? `${host.state}: ${host.reason}` : host.state],
    ['runtime', host.runtime],
    ['platform', host.platform],
    ['seen', `${formatAge(host.lastSeen, now)} ago`],
    ['clock', host.clockOffsetMs === undefined ? undefined : formatClock(host.clockOffsetMs)],
    ['jails', `${promised.jails} of ${capacity.jails} promised, ${load.jails} on it`],
    ['memory', `${formatBytes(promised.memory)} of ${formatBytes(capacity.memory)} promised`],
    ['cpu', `${formatCores(promised.cpu)} of ${capacity.cpu} cores promised`],
    ['disk', capacity.disk ? `${formatBytes(promised.disk)} of ${formatBytes(capacity.disk)} promised` : undefined],
    ['setuid', host.supports && setuidTexts[host.supports.setuid]],
    ['slots', (['fills', 'builds', 'starts'] as const).map((kind) => `${load[kind]} of ${capacity[kind]} ${kind}`).join(', ')],
    ['load', load.loadAverage.toFixed(2)],
    ['operations', `${host.operations} open`],
    ['leftovers', host.leftovers > 0 ? `of ${host.leftovers} jails, see provost hosts leftovers ${host.id}` : undefined],
    ['versions', `provost ${versions.provost}, node ${versions.node}, ${versions.os}, plans ${versions.plans.join(' ')}`],
    ...Object.entries(host.labels).map(([key, value]): Fact => ['label', `${key}=${value}`]),
  ])
}

function worldTable(worlds: WorldState[]): string[] {
  if (worlds.length === 0) return []
  return tableLines(
    ['WORLD', 'METHOD', 'STATE', 'PREFILL', 'DIGEST', ''],
    worlds.map((world) => [
      world.name,
      world.method,
      worldStateText(world),
      world.prefill ? 'yes' : 'no',
      world.digest.slice(0, 12),
      world.error ?? '',
    ]),
  )
}

function poolTable(pools: Host['pools']): string[] {
  if (pools.length === 0) return []
  return tableLines(
    ['POOL', 'CIDR', 'GATEWAY', 'EXCLUDED'],
    pools.map(({ name, cidr, gateway, exclude }) => [name, cidr, gateway ?? '-', exclude.join(' ') || '-']),
  )
}

function driftTable({ id, drifts }: HostInDetail): string[] {
  if (drifts.length === 0) return []
  const give = `To give up a jail that is missing, with what may be left of it: provost hosts clean ${id} JAIL`
  const hint = `To take orphans into the fleet: provost hosts adopt ${id}. To destroy them: provost hosts clean ${id}`
  return [
    ...tableLines(
      ['DRIFT', 'FOUND', 'SINCE', 'WHY'],
      drifts.map(({ jail, found, since, reason }) => [jail, found, since, reason]),
    ),
    ...(drifts.some(({ found }) => found === 'orphan') ? [hint] : []),
    ...(drifts.some(({ found }) => found === 'missing') ? [give] : []),
  ]
}
