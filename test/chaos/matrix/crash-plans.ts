import type { Answer, Client } from '../../support/fleets/client.ts'
import type { CrashHost } from './crash-host.ts'
import { enter, filledWorlds, plainWorld } from './crash-machine.ts'

/** `asked`: the answers to provisions, by jail. */
export type Trial = { client: Client; host: CrashHost; asked: Map<string, Answer> }

/** An operation whose worker is killed: what comes before it, and the call that asks for it, from which on points count. */
export type CrashPlan = {
  name: string
  /** The label of a command that fails, whichever worker runs it; points count only from there on. */
  fails?: string
  /** It is asked for while no worker runs: points count from the first command of the one that starts. */
  whileStarting?: true
  prepare(trial: Trial, jail: string): Promise<void>
  ask(trial: Trial, jail: string): Promise<Answer>
}

const whole = { world: plainWorld, command: ['/bin/sleep', '100000'], limits: { disk: '16M' } }
const nothing = async () => {}

async function provision({ client, host, asked }: Trial, jail: string, more: object = {}): Promise<Answer> {
  const answer = await client.ask(jail, { ...whole, host: host.name, ...more })
  asked.set(jail, answer)
  return answer
}

const change = (verb: string) => (trial: Trial, jail: string) => trial.client.call('POST', `/v1/jails/${jail}/${verb}`)
const destroy = (trial: Trial, jail: string) => trial.client.call('DELETE', `/v1/jails/${jail}`)

/** Waits for an operation to end, in whatever way. */
async function toItsEnd({ client }: Trial, answer: Promise<Answer>): Promise<void> {
  await client.ended(await answer)
}

async function running(trial: Trial, jail: string): Promise<void> {
  await toItsEnd(trial, provision(trial, jail))
}

async function stopped(trial: Trial, jail: string): Promise<void> {
  await running(trial, jail)
  await toItsEnd(trial, change('stop')(trial, jail))
}

/** Another worker, for which a command fails or waits. */
async function withWorker({ host }: Trial, how: { fails?: string; waits?: string }): Promise<void> {
  await host.kill()
  await host.start(how)
}

const again = (verb: 'retry' | 'cancel', begun: Answer | undefined, { client }: Trial) =>
  client.call('POST', `/v1/operations/${begun?.body.operation.id}/${verb}`)

function fill(world: string): CrashPlan {
  return {
    name: `fill (${world})`,
    async prepare(trial) {
      await trial.host.kill()
      trial.host.removeWorlds(world)
      await trial.host.start()
    },
    ask: ({ client, host }) => client.call('POST', `/v1/hosts/${host.name}/worlds/${world}/fill`),
  }
}

/** A plan whose operation is cancelled while a command of it runs; points count from the cancel on. */
function cancel(name: string, begin: (trial: Trial, jail: string) => Promise<Answer>, before: CrashPlan['prepare']): CrashPlan {
  const begun = new Map<string, Answer>()
  return {
    name,
    async prepare(trial, jail) {
      await before(trial, jail)
      await withWorker(trial, { waits: enter })
      begun.set(jail, await begin(trial, jail))
      await trial.host.waits()
    },
    ask: (trial, jail) => again('cancel', begun.get(jail), trial),
  }
}

export const crashPlans: CrashPlan[] = [
  { name: 'provision', prepare: nothing, ask: provision },
  {
    name: 'provision (rc)',
    prepare: nothing,
    ask: (trial, jail) => provision(trial, jail, { world: 'rc', command: undefined, limits: undefined }),
  },
  {
    name: 'provision (setuid)',
    prepare: nothing,
    ask: (trial, jail) => provision(trial, jail, { privileges: { setuid: true } }),
  },
  { name: 'start', prepare: stopped, ask: change('start') },
  { name: 'stop', prepare: running, ask: change('stop') },
  { name: 'restart', prepare: running, ask: change('restart') },
  { name: 'destroy', prepare: running, ask: destroy },
  { name: 'start-up', whileStarting: true, prepare: running, ask: change('restart') },
  { name: 'destroy (stopped)', prepare: stopped, ask: destroy },
  ...filledWorlds.map(fill),
  { name: 'failed provision', fails: enter, prepare: nothing, ask: provision },
  { name: 'failed start', fails: enter, prepare: stopped, ask: change('start') },
  { name: 'failed restart', fails: enter, prepare: running, ask: change('restart') },
  {
    name: 'retry',
    async prepare(trial, jail) {
      await withWorker(trial, { fails: enter })
      await running(trial, jail)
      await withWorker(trial, {})
    },
    ask: (trial, jail) => again('retry', trial.asked.get(jail), trial),
  },
  cancel('cancelled provision', provision, nothing),
  cancel('cancelled start', change('start'), stopped),
  cancel('cancelled restart', change('restart'), running),
]
