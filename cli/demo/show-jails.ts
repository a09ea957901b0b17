import { dirname } from 'node:path'
import { Jail } from '#shared/jail.ts'
import type { Client } from '../http/client.ts'
import { formatDuration } from '../print/amounts.ts'
import { worldState } from '../print/live/show-board.ts'
import { tableLines } from '../print/table.ts'
import { NotShown, print } from './print.ts'
import { showOperations } from './show-operations.ts'
import { findRuncJail, type RuncJail, tryBreakOut } from './try-break-out.ts'

const world = 'debian-12'
const wanted = [
  { name: 'webserver', client: 'acme', hostname: 'webserver.example.com' },
  { name: 'shop', client: 'bolt', hostname: 'shop.example.net' },
  { name: 'mail', client: 'corax', hostname: 'mail.example.org' },
]

/** Makes the jails, shows how they are isolated, and tries to break out of one. @throws NotShown */
export async function showJails(client: Client, state: string, onRunDirectory: (path: string) => void): Promise<void> {
  const { state: filled } = await worldState(client, world)
  print(
    '',
    filled === 'ready'
      ? `World ${world} was filled by an earlier demo. Making three jails of it at once:`
      : `World ${world} is filled by debootstrap, once for all three jails, which are asked for at once:`,
  )
  const started = performance.now()
  const requests = wanted.map((jail) => ({ method: 'POST', path: '/v1/jails', body: { ...jail, world } }) as const)
  await showOperations(client, requests, filled === 'ready' ? undefined : world)
  print(`All three run after ${formatDuration(performance.now() - started)}.`, '')

  const jails = await Promise.all(wanted.map(async ({ name }) => Jail.parse((await client.get(`/v1/jails/${name}`)).body)))
  print(...jailTable(jails), '')
  for (const { name, isolation } of jails)
    if (!isolation || isolation.checks.some(({ ok }) => !ok)) throw new NotShown(`The isolation of ${name} is not proven.`)

  const [victim] = jails
  if (!victim || victim.jid === null) throw new NotShown('The first jail has no process.')
  const runcJail = findRuncJail(victim.name, victim.jid)
  onRunDirectory(dirname(runcJail.runcRoot))
  await showBreakOut(victim.name, runcJail, state)
}

function jailTable(jails: Jail[]): string[] {
  const rows = jails.map(({ name, client, hostname, addresses, isolation }) => {
    const checks = isolation?.checks ?? []
    return [
      name,
      client,
      hostname,
      addresses.join(' '),
      checks.find((check) => check.name === 'processes')?.detail ?? '-',
      `${checks.filter(({ ok }) => ok).length} of ${checks.length} passed`,
    ]
  })
  return tableLines(['JAIL', 'CLIENT', 'HOST NAME', 'ADDRESSES', 'PROCESSES', 'ISOLATION CHECKS'], rows)
}

async function showBreakOut(jail: string, runcJail: RuncJail, state: string): Promise<void> {
  print(
    'The classic break-out: hold / open, chroot below it, fchdir back, chdir .. 64 times, chroot, look for a file of the host.',
  )
  const [inChroot, inJail] = await tryBreakOut(jail, runcJail, state)
  for (const attempt of [inChroot, inJail]) if (attempt) print(`  ${attempt.what}: ${attempt.outcome}`)
  if (!inJail || inJail.out) throw new NotShown(`Root in ${jail} broke out.`)
  if (!inChroot?.out) throw new NotShown('The break-out did not even work in a plain chroot, so it proves nothing.')
  print('  A chroot does not hold root; the jail does.')
}
