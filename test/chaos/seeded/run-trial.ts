import { setTimeout as sleep } from 'node:timers/promises'
import { checkRest } from './check-rest.ts'
import { play, type Scene } from './play.ts'
import type { Plot } from './schedule.ts'
import { settle, untilUp } from './settle.ts'
import { watchProgress } from './watch-progress.ts'

/** What came of a plot. `directory`: what everybody said, kept when there were faults. */
export type Trial = Plot & {
  faults: string[]
  directory: string
  operations: number
  events: number
}

const restWithinMs = 15_000
const againMs = 200

/** Lets all of a plot happen to a fleet without jails, lets it come to rest, and checks it; ends without jails. */
export async function runTrial(plot: Plot, scene: Scene): Promise<Trial> {
  const before = scene.ledger.accepted().length
  const faults: string[] = []
  let events = 0
  try {
    await untilUp(scene)
    const progress = watchProgress(scene.fleet.urls)
    await play(plot.schedule, scene)
    faults.push(...(await restingFaults(scene)))
    if (faults.length === 0) {
      await destroyAll(scene)
      faults.push(...(await restingFaults(scene)))
    }
    const seen = await progress.stop()
    events = seen.events
    faults.push(...seen.faults, ...(await replayFaults(scene)))
  } catch (error) {
    faults.push(`the trial did not get to its end: ${error instanceof Error ? error.stack : error}`)
  }
  return { ...plot, faults, directory: scene.fleet.directory, operations: scene.ledger.accepted().length - before, events }
}

/** What is still wrong when there was time to mend it: hosts look at their jails at intervals. */
async function restingFaults(scene: Scene): Promise<string[]> {
  let deadline: number | undefined
  for (;;) {
    const isAtRest = await settle(scene)
    deadline ??= Date.now() + restWithinMs
    const { deeds, things } = await checkRest(scene)
    const isOver = deeds.length > 0 || things.length === 0 || !isAtRest || Date.now() > deadline
    if (isOver) return [...deeds, ...things]
    await sleep(againMs)
  }
}

/** Also what an earlier destroy could not finish. */
async function destroyAll({ client, ledger, fleet: { redis, keys } }: Scene): Promise<void> {
  for (const jail of await redis.zrange(keys.jails(), '0', '-1')) {
    const entry = ledger.begin({ method: 'DELETE', path: `/v1/jails/${jail}`, jail })
    ledger.end(entry, await client.call(entry.method, entry.path, undefined, entry.key))
  }
}

/** Whoever asks once more under a key hears of the same operation. */
async function replayFaults({ client, ledger }: Scene): Promise<string[]> {
  const accepted = ledger.takeAccepted()
  const faults = await Promise.all(
    accepted.map(async (entry) => {
      const again = await client.call(entry.method, entry.path, entry.body, entry.key)
      const isSame = ledger.madeBy({ ...entry, answer: again }) === ledger.madeBy(entry)
      return isSame ? [] : [`${entry.method} ${entry.path} was answered anew under key ${entry.key}: ${JSON.stringify(again)}`]
    }),
  )
  return faults.flat()
}
