import { setTimeout as sleep } from 'node:timers/promises'
import type { PatientClient } from './fleet/client.ts'
import type { ChaosFleet } from './fleet/open-fleet.ts'
import type { Ledger } from './ledger.ts'
import type { Ask, Happening } from './schedule.ts'

export type Scene = {
  fleet: ChaosFleet
  client: PatientClient
  ledger: Ledger
  /** What is to become of the jails of hosts that were given up. */
  forgotten: Map<string, 'adopt' | 'clean'>
}

const forgetWithinMs = 10_000

/** Lets everything happen at its time, and waits until it is over and every caller has an answer. */
export async function play(schedule: Happening[], scene: Scene): Promise<void> {
  const startedMs = Date.now()
  await Promise.all(
    schedule.map(async (happening) => {
      await sleep(Math.max(0, startedMs + happening.atMs - Date.now()))
      await happen(happening, scene)
    }),
  )
}

async function happen(happening: Happening, scene: Scene): Promise<void> {
  const { fleet } = scene
  const { processes } = fleet
  switch (happening.do) {
    case 'ask':
      return ask(happening.ask, happening.patienceMs, scene)
    case 'kill-worker':
      await processes.end(happening.host, 'SIGKILL')
      await sleep(happening.forMs)
      return void processes.start(happening.host)
    case 'reboot-host':
      await processes.end(happening.host, 'SIGKILL')
      fleet.rebootDisk(happening.host)
      await sleep(happening.forMs)
      return void processes.start(happening.host)
    case 'stop-worker':
      processes.signal(happening.host, 'SIGSTOP')
      await sleep(happening.forMs)
      return void processes.signal(happening.host, 'SIGCONT')
    case 'part-host': {
      const proxy = fleet.proxyOf(happening.host)
      proxy.silence()
      await sleep(happening.forMs)
      // Either all arrives late, or the connections turn out to be dead.
      if (happening.forMs % 2 === 1) proxy.drop()
      return proxy.pass()
    }
    case 'lose-answers': {
      const proxy = fleet.proxyOf(happening.producer)
      proxy.loseAnswers()
      await sleep(happening.forMs)
      proxy.drop()
      return proxy.pass()
    }
    case 'kill-producer':
      await processes.end(happening.producer, 'SIGKILL')
      await sleep(happening.forMs)
      return void processes.start(happening.producer)
    case 'kill-redis':
      await processes.end('redis', 'SIGKILL')
      await sleep(happening.forMs)
      return void processes.start('redis')
    case 'slow-disk':
      return control(happening, { slowMs: happening.slowMs }, fleet)
    case 'full-disk':
      return control(happening, { slowMs: 0, isFull: true }, fleet)
    case 'failing-deeds':
      return control(happening, { slowMs: 0, failing: happening.failing }, fleet)
    case 'drain-host':
      await scene.client.call('POST', `/v1/hosts/${happening.host}/drain`)
      await sleep(happening.forMs)
      return void (await scene.client.call('POST', `/v1/hosts/${happening.host}/undrain`))
    case 'forget-host':
      return forgetHost(happening.host, happening.orphans, scene)
  }
}

async function control(
  { host, forMs }: { host: string; forMs: number },
  to: Parameters<ChaosFleet['setControl']>[1],
  fleet: ChaosFleet,
): Promise<void> {
  fleet.setControl(host, to)
  await sleep(forMs)
  fleet.setControl(host, { slowMs: 0 })
}

/** Forgets a host that does not come back, and then lets it come back. */
async function forgetHost(host: string, then: 'adopt' | 'clean', { fleet, client, forgotten }: Scene): Promise<void> {
  const deadline = Date.now() + forgetWithinMs
  for (;;) {
    await fleet.processes.end(host, 'SIGKILL')
    // It may have been begun when the answer is lost.
    forgotten.set(host, then)
    const { status } = await client.call('POST', `/v1/hosts/${host}/forget`)
    if (status !== 409 || Date.now() > deadline) break
    await sleep(100)
  }
  fleet.processes.start(host)
}

async function ask(what: Ask, patienceMs: number | undefined, { client, ledger }: Scene): Promise<void> {
  const request = requestOf(what, ledger)
  if (!request) return
  const entry = ledger.begin(request)
  ledger.end(entry, await client.call(entry.method, entry.path, entry.body, entry.key, patienceMs))
}

const specOf = (name: string) => ({ name, client: 'acme', world: 'tiny' })

function requestOf(what: Ask, ledger: Ledger) {
  if (what.kind === 'fill') return { method: 'POST', path: `/v1/hosts/${what.host}/worlds/other/fill` }
  if (what.kind === 'batch') {
    const body = { maxInFlight: what.maxInFlight, jails: what.jails.map(specOf) }
    return { method: 'POST', path: '/v1/batches', body }
  }
  const { kind, jail } = what
  if (kind === 'create') {
    const host = what.host ? { host: what.host } : {}
    return { method: 'POST', path: '/v1/jails', body: { ...specOf(jail), ...host }, jail }
  }
  if (kind === 'destroy') return { method: 'DELETE', path: `/v1/jails/${jail}`, jail }
  if (kind !== 'retry' && kind !== 'cancel') return { method: 'POST', path: `/v1/jails/${jail}/${kind}`, jail }
  const operation = ledger.lastOf(jail)
  return operation ? { method: 'POST', path: `/v1/operations/${operation}/${kind}`, jail } : undefined
}
