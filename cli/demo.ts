import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { Jail } from '#shared/jail.ts'
import { findOfRunc, tryBreakOut } from './demo/break-out.ts'
import { countRemains } from './demo/count-remains.ts'
import { showBoard, worldState } from './demo/show-board.ts'
import { startDev } from './demo/start-dev.ts'
import { isPortFree } from './dev/free-port.ts'
import type { Dev } from './dev/spawn-dev.ts'
import { type Client, httpClient, WithOperation } from './http/client.ts'
import { listAll } from './http/list-all.ts'
import { Refusal } from './http/refusal.ts'
import { formatDuration } from './print/amounts.ts'
import { failureLines } from './print/operation-lines.ts'
import { refusalLines } from './print/refusal-lines.ts'
import { tableLines } from './print/table.ts'

const world = 'debian-12'
const wanted = [
  { name: 'webserver', client: 'acme', hostname: 'webserver.example.com' },
  { name: 'shop', client: 'bolt', hostname: 'shop.example.net' },
  { name: 'mail', client: 'corax', hostname: 'mail.example.org' },
]
const state = fileURLToPath(new URL('../.cache/demo', import.meta.url))
const favouritePort = 7070

const say = (...lines: string[]) => process.stdout.write(`${lines.join('\n')}\n`)

/** What the demo set out to show and did not. */
class NotShown extends Error {}

const program = new Command('script/demo')
  .description('Three jails of three clients from a real world, proven apart, on a fleet of one host in .cache/demo.')
  .option('--once', 'end when it has been shown, with 0 when all went well')
  .exitOverride()

try {
  program.parse()
} catch (error) {
  process.exit(error instanceof CommanderError && error.exitCode === 0 ? 0 : 2)
}

const interrupted = Promise.withResolvers<void>()
let interrupts = 0
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => {
    interrupts += 1
    if (interrupts > 1) process.exit(1)
    interrupted.resolve()
  })

process.exit(await demo(program.opts<{ once?: true }>().once === true))

async function demo(once: boolean): Promise<number> {
  let dev: Dev | undefined
  let runDirectory: string | undefined
  let status = 0
  const fail = (error: unknown) => {
    complain(error)
    status = 1
  }
  try {
    say(`Starting Redis, the producer and one host, all in ${state}`)
    dev = await startDev(state, (await isPortFree(favouritePort)) ? favouritePort : 0)
    const client = httpClient(dev)
    await destroyJails(client, 'left by a demo that was cut short')
    const shown = show(client, (found) => {
      runDirectory = found
    })
    if ((await Promise.race([shown.then(() => 'shown'), interrupted.promise])) !== 'shown') {
      shown.catch(() => {})
      throw new NotShown('Interrupted.')
    }
    if (!once) {
      say('', `Serving at ${dev.url} until Ctrl-C. In another terminal:`)
      say(`  export PROVOST_URL=${dev.url} PROVOST_API_KEY=${dev.key}`, '  bin/provost list; bin/provost show webserver')
      await interrupted.promise
      say('')
    }
  } catch (error) {
    fail(error)
  }
  if (!dev) return status
  try {
    await destroyJails(httpClient(dev), 'of this demo')
    if (runDirectory) showRemains(dev, runDirectory)
  } catch (error) {
    fail(error)
  }
  await dev.stop()
  say(`Stopped. The filled world stays in ${state}, so that the next demo is fast.`)
  return status
}

async function show(client: Client, onFound: (runDirectory: string) => void): Promise<void> {
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
  await showBreakOut(victim.name, ofRunc)
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

async function showBreakOut(jail: string, ofRunc: ReturnType<typeof findOfRunc>): Promise<void> {
  say('The classic break-out: hold / open, chroot below it, fchdir back, chdir .. 64 times, chroot, look for a file of the host.')
  const [inChroot, inJail] = await tryBreakOut(jail, ofRunc, state)
  for (const attempt of [inChroot, inJail]) if (attempt) say(`  ${attempt.what}: ${attempt.said}`)
  if (!inJail || inJail.out) throw new NotShown(`Root in ${jail} broke out.`)
  if (!inChroot?.out) throw new NotShown('The break-out did not even work in a plain chroot, so it proves nothing.')
  say('  A chroot does not hold root; the jail does.')
}

async function destroyJails(client: Client, which: string): Promise<void> {
  const names = (await listAll(client, '/v1/jails')).map((item) => Jail.parse(item).name)
  if (names.length === 0) return
  say('', `Destroying the ${names.length === 1 ? 'jail' : `${names.length} jails`} ${which}:`)
  const asked = await Promise.all(
    names.map(async (name) => {
      const { body } = await client.send({ method: 'DELETE', path: `/v1/jails/${name}` })
      return WithOperation.parse(body).operation.id
    }),
  )
  const ended = await showBoard(client, asked)
  const failed = ended.filter(({ status }) => status !== 'succeeded')
  if (failed.length > 0) throw new NotShown(failed.flatMap(failureLines).join('\n'))
}

function showRemains(dev: Dev, runDirectory: string): void {
  const bridges = (dev.state.chosen().hosts ?? []).map(({ bridge }) => bridge)
  const remains = Object.entries(countRemains(state, bridges, runDirectory))
  say(`Left of them on this machine: ${remains.map(([name, count]) => `${count} ${name}`).join(', ')}`)
  if (remains.some(([, count]) => count > 0)) throw new NotShown('Something of the jails is left.')
}

function complain(error: unknown): void {
  const lines = error instanceof Refusal ? refusalLines(error.problem) : [error instanceof Error ? error.message : String(error)]
  process.stderr.write(`${lines.join('\n')}\n`)
}
