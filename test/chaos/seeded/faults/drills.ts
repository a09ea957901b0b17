import type { Ask, Happening, Plot } from '../schedule.ts'
import type { Bug } from './bugs.ts'

/** Once the jails that were asked for first are there, on quiet hosts. */
const readyMs = 2_000

/**
 * The shortest ways into the faults that can be planted, where chance would take many seeds to go: each shows the one that it is
 * named after, and nothing where there is none.
 */
export const drills: Record<Bug, Plot> = {
  'delete before work': drill('killed in the middle of restarts', [
    ...all(0, 'create', ['a', 'b', 'c'], 'host1'),
    { atMs: readyMs, do: 'slow-disk', host: 'host1', forMs: 1_500, slowMs: 800 },
    ...all(readyMs + 100, 'restart', ['a', 'b', 'c']),
    { atMs: readyMs + 400, do: 'kill-worker', host: 'host1', forMs: 50 },
  ]),
  'no epoch check': drill('stopped in the middle of clones, for longer than it takes to be given up', [
    { atMs: 0, do: 'slow-disk', host: 'host1', forMs: 4_000, slowMs: 4_000 },
    ...all(100, 'create', ['a', 'b', 'c', 'd']),
    { atMs: 500, do: 'stop-worker', host: 'host1', forMs: 3_000 },
  ]),
  'lease freed too early': drill('asked for the addresses of jails that are being destroyed', [
    ...all(0, 'create', ['a', 'b', 'c'], 'host1'),
    ...all(0, 'create', ['d', 'e', 'f'], 'host2'),
    { atMs: readyMs, do: 'slow-disk', host: 'host1', forMs: 2_500, slowMs: 1_500 },
    ...all(readyMs + 100, 'destroy', ['a', 'b', 'c']),
    ...all(readyMs + 300, 'create', ['g', 'h', 'i'], 'host3'),
  ]),
  'undo skipped': drill('failing at the last step', [
    {
      atMs: 0,
      do: 'failing-deeds',
      host: 'host1',
      forMs: 4_000,
      failing: { verb: 'proveIsolation', code: 'command_failed', chance: 1 },
    },
    ...all(100, 'create', ['a', 'b'], 'host1'),
  ]),
}

function drill(name: string, schedule: Happening[]): Plot {
  return { name, schedule: schedule.sort((a, b) => a.atMs - b.atMs) }
}

function all(atMs: number, kind: 'create' | 'restart' | 'destroy', jails: string[], host?: string): Happening[] {
  return jails.map((jail) => ({
    atMs,
    do: 'ask',
    ask: host && kind === 'create' ? { kind, jail, host } : ({ kind, jail } as Ask),
  }))
}
