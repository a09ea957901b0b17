import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as base } from 'vitest'
import { World, worldDigest } from '../../../worker/config/world.ts'
import { type CommandRecord, commandRunner } from '../../../worker/host/programs/run-command.ts'
import { type FillKills, openFillKills } from '../../../worker/worlds/fills/kills.ts'
import { makeWorldStore } from '../../../worker/worlds/make-world-store.ts'
import { directoryHost } from '../../support/hosts/directory-host.ts'

export const run = commandRunner({ commandPath: '/sbin:/bin:/usr/sbin:/usr/bin', worker: 'test' })
const retry = { maxAttempts: 3, firstDelayMs: 1, maxDelayMs: 2, keepSlotMs: 0 }
const log = { info() {}, warn() {} }

type Fixtures = {
  /** An empty directory for what a test needs beside the host. */
  scratch: string
  kept: Awaited<ReturnType<typeof directoryHost>>
}

export const test = base.extend<Fixtures>({
  scratch: async ({ task: _ }, use) => {
    const directory = await mkdtemp(join(tmpdir(), 'provost-scratch-'))
    await use(directory)
    await rm(directory, { recursive: true, force: true })
  },
  kept: async ({ task: _ }, use) => {
    const kept = await directoryHost()
    await use(kept)
    await kept.remove()
  },
})

type Definition = Record<string, unknown> & { name: string }

/** By host, the notes of its last worker: the next worker starts once those are written. */
const lastKills = new WeakMap<Fixtures['kept'], FillKills>()

/** Opens a store on a host of plain directories; `ids` are those of the definitions, in their order, `id` is the first. */
export async function openStore(kept: Fixtures['kept'], definitions: Definition[], { fills = 1 } = {}) {
  const worlds = definitions.map((definition) => World.parse(definition))
  await lastKills.get(kept)?.noted()
  const kills = await openFillKills(join(kept.root, 'fills'), log)
  lastKills.set(kept, kills)
  const store = makeWorldStore({ worlds, host: kept.host, run, fills, kills, log, retry })
  await store.open()
  const ids = worlds.map((world) => ({ name: world.name, digest: worldDigest(world) }))
  const [id] = ids
  if (!id) throw new Error('no world')
  return { store, ids, id }
}

/** Returns who asks for a world, with the commands that its log gets. */
export function asker(operation: string) {
  const records: CommandRecord[] = []
  return { operation, records, record: (command: CommandRecord) => void records.push(command) }
}
