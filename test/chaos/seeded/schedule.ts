import { type Draw, makeDraw } from './draw.ts'

export const hostNames = ['host1', 'host2', 'host3'] as const
export const producerNames = ['producer1', 'producer2'] as const
const jailNames = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'] as const

export type Ask =
  | { kind: 'create'; jail: string; host?: string }
  | { kind: 'start' | 'stop' | 'restart' | 'destroy' | 'retry' | 'cancel'; jail: string }
  | { kind: 'fill'; host: string }
  | { kind: 'batch'; jails: string[]; maxInFlight: number }

/** What a deed of a host fails with. */
export type Failing = { verb: string; code: 'command_failed' | 'resource_busy'; chance: number }

/** `atMs` after the start; `forMs`: how long it lasts. */
export type Happening = { atMs: number } & (
  | {
      do: 'ask'
      ask: Ask
      /** The caller gives up the first answer after so long and asks again under the same key. */
      patienceMs?: number
    }
  | { do: 'kill-worker' | 'stop-worker' | 'reboot-host' | 'part-host' | 'drain-host'; host: string; forMs: number }
  | { do: 'forget-host'; host: string; orphans: 'adopt' | 'clean' }
  | { do: 'slow-disk'; host: string; forMs: number; slowMs: number }
  /** Many a write of the journal finds no room. */
  | { do: 'full-disk'; host: string; forMs: number }
  | { do: 'failing-deeds'; host: string; forMs: number; failing: Failing }
  | { do: 'kill-producer' | 'lose-answers'; producer: string; forMs: number }
  | { do: 'kill-redis'; forMs: number }
)

/** What a trial plays. `schedule`: in the order of time. */
export type Plot = { name: string; schedule: Happening[] }

const asks = { create: 28, destroy: 18, stop: 9, start: 9, restart: 8, retry: 8, cancel: 8, fill: 4, batch: 4 }
const faults = {
  'kill-worker': 20,
  'stop-worker': 16,
  'part-host': 14,
  'kill-redis': 12,
  'slow-disk': 12,
  'failing-deeds': 14,
  'full-disk': 8,
  'kill-producer': 10,
  'lose-answers': 8,
  'drain-host': 8,
  'reboot-host': 6,
  'forget-host': 4,
}

/** Longer than a job's lock and a host's silence, at the pace of these trials. */
const longMs: [number, number] = [1_200, 1_800]
const lastsMs = 3_000

export const plotOf = (seed: number): Plot => ({ name: `seed ${seed}`, schedule: makeSchedule(seed) })

/** All that happens in the trial of a seed, in the order of time. */
export function makeSchedule(seed: number): Happening[] {
  const draw = makeDraw(seed)
  const happenings: Happening[] = []
  for (let i = 0; i < 5; i += 1) happenings.push({ atMs: draw.between(0, 150), do: 'ask', ask: askCreate(draw) })
  const count = draw.between(22, 34)
  for (let i = 0; i < count; i += 1) happenings.push(drawAsk(draw, draw.between(150, lastsMs)))
  const faultCount = draw.between(3, 7)
  for (let i = 0; i < faultCount; i += 1) {
    const fault = drawFault(draw, draw.between(200, lastsMs - 400))
    // One host can be given up; of two there would be none left to go on.
    if (fault.do === 'forget-host' && happenings.some((other) => other.do === 'forget-host')) continue
    happenings.push(fault)
    // What is slow is in the middle of something when it is killed or cut off.
    if ('host' in fault && fault.do !== 'forget-host' && draw.chance(0.6))
      happenings.push({ atMs: fault.atMs - 500, do: 'slow-disk', host: fault.host, forMs: 700, slowMs: draw.between(80, 300) })
    // What is asked for just before it is noticed has to go elsewhere.
    for (let j = 0; j < 2; j += 1) happenings.push({ atMs: fault.atMs + draw.between(-40, 300), do: 'ask', ask: askCreate(draw) })
  }
  return happenings.sort((a, b) => a.atMs - b.atMs)
}

function askCreate(draw: Draw): Ask {
  const jail = draw.pick(jailNames)
  return draw.chance(0.15) ? { kind: 'create', jail, host: draw.pick(hostNames) } : { kind: 'create', jail }
}

function drawAsked(draw: Draw): Ask {
  const kind = draw.weighted(asks)
  switch (kind) {
    case 'create':
      return askCreate(draw)
    case 'fill':
      return { kind, host: draw.pick(hostNames) }
    case 'batch': {
      const jails = Array.from({ length: draw.between(2, 4) }, () => draw.pick(jailNames))
      return { kind, jails: [...new Set(jails)], maxInFlight: draw.between(1, 3) }
    }
    default:
      return { kind, jail: draw.pick(jailNames) }
  }
}

function drawAsk(draw: Draw, atMs: number): Happening {
  const ask = drawAsked(draw)
  return draw.chance(0.25) ? { atMs, do: 'ask', ask, patienceMs: draw.between(1, 20) } : { atMs, do: 'ask', ask }
}

function drawFault(draw: Draw, atMs: number): Happening {
  const kind = draw.weighted(faults)
  const host = draw.pick(hostNames)
  const producer = draw.pick(producerNames)
  switch (kind) {
    case 'kill-worker':
    case 'reboot-host':
      return { atMs, do: kind, host, forMs: draw.chance(0.5) ? draw.between(0, 200) : draw.between(...longMs) }
    case 'stop-worker':
    case 'part-host':
      return { atMs, do: kind, host, forMs: draw.between(...longMs) }
    case 'drain-host':
      return { atMs, do: kind, host, forMs: draw.between(300, 1_500) }
    case 'forget-host':
      return { atMs, do: kind, host, orphans: draw.pick(['adopt', 'clean'] as const) }
    case 'slow-disk':
      return { atMs, do: kind, host, forMs: draw.between(500, 1_500), slowMs: draw.between(50, 400) }
    case 'full-disk':
      return { atMs, do: kind, host, forMs: draw.between(200, 1_000) }
    case 'failing-deeds':
      return { atMs, do: kind, host, forMs: draw.between(300, 1_500), failing: drawFailing(draw) }
    case 'kill-producer':
      return { atMs, do: kind, producer, forMs: draw.between(0, 800) }
    case 'lose-answers':
      return { atMs, do: kind, producer, forMs: draw.between(20, 300) }
    case 'kill-redis':
      return { atMs, do: kind, forMs: draw.between(0, 600) }
  }
}

function drawFailing(draw: Draw): Failing {
  const making = ['ensureRoot', 'ensureNetwork', 'ensureJail', 'startCommand', 'proveIsolation'] as const
  const taking = ['removeRoot', 'removeNetwork', 'removeJail'] as const
  if (draw.chance(0.7))
    return { verb: draw.pick(making), code: draw.pick(['command_failed', 'resource_busy'] as const), chance: 0.6 }
  return { verb: draw.pick(taking), code: 'resource_busy', chance: 0.3 }
}
