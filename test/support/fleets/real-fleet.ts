import { realHost } from '../hosts/real-host.ts'
import { programGate } from '../programs/program-gate.ts'
import type { TestRedis } from '../redis/redis-test.ts'
import { processFleet, service } from './process-fleet.ts'

type Settings = {
  /** Laid over the worker's YAML. */
  worker?: Record<string, unknown>
  worlds?: object[]
  /** Where the host keeps its jails; a directory of its own otherwise. */
  root?: string
  /** How fast waits are, as `PROVOST_TIME_SCALE`. */
  timeScale?: number
}

export type RealFleet = Awaited<ReturnType<typeof startRealFleet>>

/** A producer and one worker, `worker`, as processes of their own, which make real jails on this machine, host `real1`. */
export async function startRealFleet(redis: TestRedis, { worker, worlds, root, timeScale }: Settings = {}) {
  const fleet = await processFleet(redis, timeScale ? { PROVOST_TIME_SCALE: `${timeScale}` } : {})
  const { state, env, tag, third } = fleet
  const host = await realHost({
    host: 'real1',
    directory: state,
    bridge: `pvt${tag}`,
    network: `10.213.${third}`,
    ...(root ? { root } : {}),
    ...(worlds ? { worlds } : {}),
    ...(worker ? { over: worker } : {}),
  })
  fleet.define('worker', service('worker', { ...env, PROVOST_CONFIG: host.file }))
  fleet.start('producer')
  fleet.start('worker')
  await fleet.hostIs('real1', 'up')

  return {
    ...fleet,
    ...host,
    gate: (program: string, path: string, when?: string) => programGate(host.bin, program, path, when),
    async stop(): Promise<void> {
      if (fleet.child('worker')) await fleet.destroyJails()
      await fleet.end('worker', 'SIGTERM')
      await fleet.end('producer', 'SIGTERM')
      await fleet.close()
    },
  }
}
