import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { Jail } from '#shared/jail.ts'
import { isPortFree } from '../dev/processes/free-port.ts'
import type { Dev } from '../dev/processes/spawn-dev.ts'
import { type Client, httpClient, WithOperation } from '../http/client.ts'
import { listAll } from '../http/list-all.ts'
import { Refusal } from '../http/refusal.ts'
import { failureLines } from '../print/operation-lines.ts'
import { refusalLines } from '../print/refusal-lines.ts'
import { showBoard } from '../print/show-board.ts'
import { countRemains } from './count-remains.ts'
import { NotShown, say } from './say.ts'
import { showJails } from './show-jails.ts'
import { startDev } from './start-dev.ts'

const state = fileURLToPath(new URL('../../.cache/demo', import.meta.url))
const favouritePort = 7070

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
    const shown = showJails(client, state, (found) => {
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
  say(`Stopped. A world that is filled stays in ${state}, so that the next demo is fast.`)
  return status
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
