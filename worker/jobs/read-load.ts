import { loadavg } from 'node:os'
import type { Journal } from '../journal/journal.ts'
import type { WorldStore } from '../worlds/world-store.ts'
import type { Consumer } from './consume-jobs.ts'

type Deps = { worlds: Pick<WorldStore, 'states'>; running: Consumer['running']; journal: Pick<Journal, 'jails'> }

/** Returns what runs on this host right now. */
export function readLoad({ worlds, running, journal }: Deps) {
  return {
    fills: worlds.states().filter(({ state }) => state === 'filling').length,
    builds: running('build'),
    starts: running('start'),
    jails: journal.jails().length,
    loadAverage: loadavg()[0] ?? 0,
  }
}
