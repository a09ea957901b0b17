import { dirname } from 'node:path'
import { Jail } from '#shared/jail.ts'
import { type Client, WithOperation } from '../http/client.ts'
import { formatDuration } from '../print/amounts.ts'
import { failureLines } from '../print/operation-lines.ts'
import { showBoard, worldState } from '../print/show-board.ts'
import { tableLines } from '../print/table.ts'
import { findOfRunc, type OfRunc, tryBreakOut } from './break-out.ts'
import { NotShown, say } from './say.ts'

const world = 'debian-12'
const wanted = [
  { name: 'webserver', client: 'acme', hostname: 'webserver.example.com' },
  { name: 'shop', client: 'bolt', hostname: 'shop.example.net' },
  { name: 'mail', client: 'corax', hostname: 'mail.example.org' },
]

/** Makes the jails, shows how they are kept apart, and tries to break out of one. @throws NotShown */
export async function showJails(client: Client, state: string, onFound: (runDirectory: string) => void): Promise<void> {
  const { state: filled } = await worldState(client, world)
  say(
    '',
    filled === 'ready'
      ? `World ${world} was filled by an earlier demo. Making three jails of it at once:`
      : `World ${world} is filled by debootstrap, once for all three jails, which are asked for at once:`,
  )
  const started = performance.now()
  await createJails(client, filled !== 'ready')
  say(`All three run after ${formatDuration(performance.now() - started)}.`, '')

  const jails = await Promise.all(wanted.map(async ({ name }) => Jail.parse((await client.get(`/v1/jails/${name}`)).body)))
  say(...jailTable(jails), '')
  for (const { name, isolation } of jails)
    if (!isolation || isolation.checks.some(({ ok }) => !ok)) throw new NotShown(`The isolation of ${name} is not proven.`)

  const [victim] = jails
  if (!victim || victim.jid === null) throw new NotShown('The first jail has no process.')
  const ofRunc = findOfRunc(victim.name, victim.jid)
  onFound(dirname(ofRunc.runcRoot))
  await showBreakOut(victim.name, ofRunc, state)
}

async function createJails(client: Client, fills: boolean): Promise<void> {
  const asked = await Promise.all(
    wanted.map(async (jail) => {
      const { body } = await client.send({ method: 'POST', path: '/v1/jails', body: { ...jail, world } })
      return WithOperation.parse(body).operation.id
    }),
  )
  const ended = await showBoard(client, asked, fills ? { world } : {})
  const failed = ended.filter(({ status }) => status !== 'succeeded')
  if (failed.length > 0) throw new NotShown(failed.flatMap(failureLines).join('\n'))
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

async function showBreakOut(jail: string, ofRunc: OfRunc, state: string): Promise<void> {
  say('The classic break-out: hold / open, chroot below it, fchdir back, chdir .. 64 times, chroot, look for a file of the host.')
  const [inChroot, inJail] = await tryBreakOut(jail, ofRunc, state)
  for (const attempt of [inChroot, inJail]) if (attempt) say(`  ${attempt.what}: ${attempt.said}`)
  if (!inJail || inJail.out) throw new NotShown(`Root in ${jail} broke out.`)
  if (!inChroot?.out) throw new NotShown('The break-out did not even work in a plain chroot, so it proves nothing.')
  say('  A chroot does not hold root; the jail does.')
}
