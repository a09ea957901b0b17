import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bug } from './faults/bugs.ts'
import { patientClient } from './fleet/client.ts'
import { fillCompileCache } from './fleet/compile-cache.ts'
import { openFleet } from './fleet/open-fleet.ts'
import { makeLedger } from './ledger.ts'
import type { Scene } from './play.ts'
import { runTrial, type Trial } from './run-trial.ts'
import type { Plot } from './schedule.ts'

type Options = {
  plots: Plot[]
  /** How many at once: most of a trial is waiting. */
  lanes: number
  bug?: Bug | undefined
  /** No further trial begins once one has faults. */
  untilFault?: boolean
  onTrial?(trial: Trial): void
}

/** So many plots are played with one fleet, since its processes take longer to start than a trial does. */
const plotsOfFleet = 10

/** Plays plots, several at once. Returns what came of those that were begun. */
export async function runTrials({ plots, lanes, bug, untilFault = false, onTrial }: Options): Promise<Trial[]> {
  await fillCompileCache()
  const left = [...plots]
  const trials: Trial[] = []
  const isOver = () => left.length === 0 || (untilFault && trials.some(({ faults }) => faults.length > 0))

  async function playLane(): Promise<void> {
    while (!isOver()) {
      const scene = await openScene(bug)
      let isWell = true
      for (let played = 0; played < plotsOfFleet && isWell && !isOver(); played += 1) {
        const trial = await runTrial(left.shift() as Plot, scene)
        trials.push(trial)
        isWell = trial.faults.length === 0
        if (!isWell)
          await writeFile(join(trial.directory, 'trial.json'), JSON.stringify({ ...trial, asked: scene.ledger.asked }, null, 2))
        onTrial?.(trial)
        // The addresses of a forgotten host are held for long.
        if (scene.forgotten.size > 0) break
      }
      await scene.fleet.close()
      if (isWell) await rm(scene.fleet.directory, { recursive: true, force: true })
    }
  }

  await Promise.all(Array.from({ length: Math.min(lanes, plots.length) }, playLane))
  return trials
}

async function openScene(bug: Bug | undefined): Promise<Scene> {
  const fleet = await openFleet(await mkdtemp(join(tmpdir(), 'provost-chaos-')), bug)
  return { fleet, client: patientClient(fleet.urls), ledger: makeLedger(), forgotten: new Map() }
}
