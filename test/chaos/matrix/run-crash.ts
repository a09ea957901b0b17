import { isDeepStrictEqual } from 'node:util'
import type { Answer } from '../../support/fleets/client.ts'
import { until } from '../../support/until.ts'
import type { Snapshot } from './crash-machine.ts'
import type { CrashPlan, Trial } from './crash-plans.ts'
import { describeKill, type Kill, type Point } from './crash-points.ts'

/** How an operation has ended, in what must be the same each time. */
export type End = {
  status: string
  error: string | undefined
  percent: number
  steps: string[]
  jail: string | undefined
  isolated: boolean | undefined
  /** How many mounts, links, … the host has more than before. */
  host: Record<string, number>
  inJournal: boolean
  /** The one that was filled, and whatever is half made. */
  worlds: string[]
}

/** `resumed`: it has succeeded, `undone`: it has failed or was cancelled; as with nobody killed, and it has left nothing. */
export type Cell = { plan: string; kill: Kill; how: 'resumed' | 'undone' | 'FAILED'; detail: string; ms: number }

const settlesMs = 3_000
const endsMs = 40_000

/** Does a plan with nobody killed. Returns the points that were seen, and how it ends. */
export async function listPoints(plan: CrashPlan, trial: Trial, jail: string): Promise<{ points: Point[]; end: End }> {
  await trial.host.count({})
  const before = trial.host.snapshot([jail])
  await plan.prepare(trial, jail)
  const answer = await begin(plan, trial, jail)
  await trial.client.ended(answer, endsMs).catch((error) => {
    throw new Error(`Plan ${plan.name} does not end with nobody killed: ${error.message}`)
  })
  const points = [...trial.host.points()]
  const end = await endOf(trial, jail, answer, before)
  await removeJail(trial, jail)
  return { points, end }
}

/** Asks for a plan's operation; from here on points count. */
async function begin(plan: CrashPlan, trial: Trial, jail: string, kill?: Kill): Promise<Answer> {
  if (!plan.whileStarting) {
    await trial.host.count({ kill, fails: plan.fails })
    return plan.ask(trial, jail)
  }
  await trial.host.kill()
  const answer = await plan.ask(trial, jail)
  await trial.host.start({ counts: true, kill })
  return answer
}

/** Does a plan with its worker killed at one point, and compares its end with the one of a plan with nobody killed. */
export async function runCrash(plan: CrashPlan, kill: Kill, undisturbed: End, trial: Trial, jail: string): Promise<Cell> {
  const { host, client } = trial
  const before = host.snapshot([jail])
  const startedAt = performance.now()
  const cell = (how: Cell['how'], detail = ''): Cell => ({
    plan: plan.name,
    kill,
    how,
    detail,
    ms: performance.now() - startedAt,
  })
  try {
    // What the plan before had its worker do is over.
    await host.count({})
    await plan.prepare(trial, jail)
    const answer = await begin(plan, trial, jail, kill)
    await Promise.race([host.died(), client.ended(answer, endsMs)])
    if (!(await until('its worker to die', async () => host.isDead(), settlesMs).catch(() => false)))
      return cell('FAILED', 'The point was not reached.')
    await host.start({ fails: plan.fails })
    await client.ended(answer, endsMs)
    const end = await settled(
      () => endOf(trial, jail, answer, before),
      (end) => isDeepStrictEqual(end, undisturbed),
    )
    if (!isDeepStrictEqual(end, undisturbed)) return cell('FAILED', difference(undisturbed, end))
    await removeJail(trial, jail)
    const after = await settled(
      async () => host.snapshot([jail]),
      (snapshot) => isDeepStrictEqual(snapshot, before),
    )
    if (!isDeepStrictEqual(after, before)) return cell('FAILED', `left: ${difference(before, after)}`)
    if (host.files().journal.includes(`${jail}.ndjson`)) return cell('FAILED', 'Its journal still has the jail.')
    return cell(end.status === 'succeeded' ? 'resumed' : 'undone')
  } catch (error) {
    return cell('FAILED', `${error instanceof Error ? error.message : error}`)
  } finally {
    // What one has left must not stand in the way of the next.
    if (host.isDead()) await host.start()
    await removeJail(trial, jail).catch(() => undefined)
  }
}

export function describeCell({ plan, kill, how, detail }: Cell): string {
  return `${how} ${plan}: killed ${describeKill(kill)}. ${detail}`
}

async function endOf({ client, host }: Trial, jail: string, answer: Answer, before: Snapshot): Promise<End> {
  const operation = await client.operation(answer.body.operation.id)
  const record = await client.call('GET', `/v1/jails/${jail}`)
  const isThere = record.status === 200
  const more = Object.entries(host.snapshot([jail])).map(([kind, lines]) => [kind, lines.length - (before[kind]?.length ?? 0)])
  const { journal, worlds } = host.files()
  return {
    status: operation.status,
    error: operation.error?.code,
    percent: operation.percent,
    steps: operation.steps.map(({ name, status }) => `${name} ${status}`),
    jail: isThere ? record.body.state : undefined,
    isolated: isThere ? record.body.isolation?.checks.every(({ ok }: { ok: boolean }) => ok) : undefined,
    host: Object.fromEntries(more),
    inJournal: journal.includes(`${jail}.ndjson`),
    worlds: worlds.filter((name) => name.startsWith('.') || name.startsWith(`${operation.world}-`)),
  }
}

async function removeJail({ client }: Trial, jail: string): Promise<void> {
  const { status } = await client.call('GET', `/v1/jails/${jail}`)
  if (status === 404) return
  const { status: verdict, error } = await client.ended(await client.call('DELETE', `/v1/jails/${jail}`), endsMs)
  if (verdict !== 'succeeded') throw new Error(`The jail could not be destroyed: ${error?.message}`)
}

/** Returns what `look` sees once it is as wanted, or when its time is up. */
async function settled<T>(look: () => Promise<T>, isWanted: (seen: T) => boolean): Promise<T> {
  const wanted = async () => {
    const seen = await look()
    return isWanted(seen) && { seen }
  }
  return (await until('it to settle', wanted, settlesMs).catch(async () => ({ seen: await look() }))).seen
}

function difference<T extends object>(wanted: T, seen: T): string {
  const keys = Object.keys(wanted) as (keyof T & string)[]
  const differing = keys.filter((key) => !isDeepStrictEqual(wanted[key], seen[key]))
  return differing.map((key) => `${key}: ${JSON.stringify(wanted[key])} became ${JSON.stringify(seen[key])}`).join('; ')
}
