import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { enrolOnDisk } from '../../support/fleets/enrol-on-disk.ts'
import { processFleet } from '../../support/fleets/process-fleet.ts'
import type { TestRedis } from '../../support/redis/redis-test.ts'
import { crashHost } from './crash-host.ts'
import { fillCrashTree, isFreebsd } from './crash-machine.ts'
import type { Trial } from './crash-plans.ts'

export type CrashFleet = Awaited<ReturnType<typeof startCrashFleet>>

/** A producer that is let alone, and hosts whose workers are killed. */
export async function startCrashFleet(redis: TestRedis, names: string[]) {
  const fleet = await processFleet(redis)
  const { state, env, tag, third } = fleet
  const worlds = makeWorlds(state)
  fleet.start('producer')
  const trials = await Promise.all(
    names.map(async (name, i): Promise<Trial> => {
      const directory = join(state, name)
      const network = `10.${216 + i}.${third}`
      const capacity = { jails: 100, memory: '64G', cpu: 100, disk: '64G' }
      const over = { capacity, privileges: { setuid: true }, identity: enrolOnDisk(state, name) }
      const host = await crashHost({ env, host: name, directory, bridge: `pvc${tag}${i}`, network, worlds, over })
      await host.start()
      return { client: fleet, host, asked: new Map() }
    }),
  )
  await Promise.all(names.map((name) => fleet.hostIs(name, 'up')))

  return {
    trials,
    async stop(): Promise<void> {
      // What a trial that failed has left; what cannot be destroyed is left for whoever looks into it.
      await fleet.destroyJails((fault) => console.error(fault.message))
      for (const { host } of trials) await host.stop()
      await fleet.end('producer', 'SIGTERM')
      await fleet.close().catch((error) => console.error(`${state} stays: ${error.message}`))
    },
  }
}

/** Beside the one that all jails are of: one with an /etc/rc, and one of each way to fill that needs nothing from elsewhere. */
function makeWorlds(state: string): object[] {
  const tree = join(state, 'tree')
  mkdirSync(tree)
  fillCrashTree(tree)
  const path = join(state, 'world.tar')
  spawnSync('tar', ['-C', tree, '-cf', path, '.'])
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex')
  return [
    { name: 'rc', method: 'tree', path: tree, prefill: true },
    ...(isFreebsd ? [] : [{ name: 'busybox2', method: 'busybox' }]),
    { name: 'tree', method: 'tree', path: tree },
    { name: 'archive', method: 'archive', path, sha256 },
  ]
}
