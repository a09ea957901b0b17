import type { ProvostError } from '#shared/errors.ts'
import type { WorldState } from '#shared/host.ts'
import type { WorldId } from '#shared/job.ts'
import type { World } from '../../config/world.ts'
import type { FilledWorld } from '../../host/files/world-ids.ts'
import type { Fill } from '../world-store.ts'
import type { RunningFill } from './start-fill.ts'

/** A world of the configuration, and its fill. */
export type Entry = {
  world: World
  id: WorldId
  fill?: Fill & Pick<RunningFill, 'join' | 'fraction'>
  failure?: ProvostError
  /** The end of its last fill, which may have been left and may still be removing its stage. */
  lastEnd?: Promise<unknown>
}

/** The asker of a fill at the start of the worker. */
export const prefillOf = ({ world }: Entry) => `prefill ${world.name}`

/** Returns how the world of an entry is. `filled`: what the host has of it. */
export function stateOf({ world, id, fill, failure }: Entry, filled: FilledWorld | undefined): WorldState {
  const common = { name: world.name, digest: id.digest, method: world.method, prefill: world.prefill }
  if (filled) return { ...common, state: 'ready', ...(filled.fillMs === undefined ? {} : { fillMs: filled.fillMs }) }
  if (fill) return { ...common, state: 'filling', percent: Math.floor(fill.fraction() * 100) }
  if (failure) return { ...common, state: 'failed', error: `${failure.code}: ${failure.message}` }
  return { ...common, state: 'absent' }
}
