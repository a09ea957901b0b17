import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { Jail } from '#shared/jail.ts'
import { isPortFree } from '../dev/processes/free-port.ts'
import type { Dev } from '../dev/processes/spawn-dev.ts'
import { type Client, httpClient } from '../http/client.ts'
import { listAll } from '../http/list-all.ts'
import { Refusal } from '../http/refusal.ts'
import { refusalLines } from '../print/refusal-lines.ts'
import { countRemains } from './count-remains.ts'
import { NotShown, print } from './print.ts'
import { showJails } from './show-jails.ts'
import { showOperations } from './show-operations.ts'
import { startDev } from './start-dev.ts'

const state = fileURLToPath(new URL('../../.cache/demo', import.meta.url))
const preferredPort = 7070

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
    printError(error)
    status = 1
  }
  try {
    print(`Starting Redis, the producer and one host, all in ${state}`)
    dev = await startDev(state, (await isPortFree(preferredPort)) ? preferredPort : 0)
    const client = httpClient(dev)
    await destroyJails(client, 'left by a demo that was cut short')
    const shown = showJails(client, state, (path) => {
      runDirectory = path
    })
    if ((await Promise.race([shown.then(() => 'shown'), interrupted.promise])) !== 'shown') {
      shown.catch(() => {})
      throw new NotShown('Interrupted.')
    }
    if (!once) {
      print('', `Serving at ${dev.url} until Ctrl-C. In another terminal:`)
      print(`  export PROVOST_URL=${dev.url} PROVOST_API_KEY=${dev.key}`, '  bin/provost list; bin/provost show webserver')
      await interrupted.promise
      print('')
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
  print(`Stopped. A world that is filled stays in ${state}, so that the next demo is fast.`)
  return status
}

async function destroyJails(client: Client, which: string): Promise<void> {
  const names = (await listAll(client, '/v1/jails')).map((item) => Jail.parse(item).name)
  if (names.length === 0) return
  print('', `Destroying the ${names.length === 1 ? 'jail' : `${names.length} jails`} ${which}:`)
  await showOperations(
    client,
    names.map((name) => ({ method: 'DELETE', path: `/v1/jails/${name}` })),
  )
}

function showRemains(dev: Dev, runDirectory: string): void {
  const bridges = (dev.state.chosen().hosts ?? []).map(({ bridge }) => bridge)
  const remains = Object.entries(countRemains(state, bridges, runDirectory))
  print(`Left of them on this machine: ${remains.map(([name, count]) => `${count} ${name}`).join(', ')}`)
  if (remains.some(([, count]) => count > 0)) throw new NotShown('Something of the jails is left.')
}

function printError(error: unknown): void {
  const lines = error instanceof Refusal ? refusalLines(error.problem) : [error instanceof Error ? error.message : String(error)]
  process.stderr.write(`${lines.join('\n')}\n`)
}
