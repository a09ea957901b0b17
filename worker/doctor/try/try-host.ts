import { existsSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Isolation } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import type { WorkerConfig } from '../../config/config.ts'
import { fault, type NamedCheck, runChecks } from '../../host/checks/check-result.ts'
import type { Check, HostRuntime } from '../../host/host-runtime.ts'
import { readConsole } from '../../host/jails/console.ts'
import { makeTrialRuntime } from '../../host/make-runtime.ts'
import { commandRunner } from '../../host/programs/run-command.ts'
import { beyond, busySeconds, judgeTrial } from './judge-trial.ts'
import { trialConfig, trialJail } from './trial-host.ts'
import { makeTrialWorld, trialWorld } from './trial-world.ts'

const longestMs = 120_000
const lookEveryMs = 100
const mostConsoleBytes = 256 * 1024
const blockBytes = 65_536

/**
 * Makes a jail of its own on this host, whether a worker runs here or not, has it try each limit and each wall, proves its
 * isolation, and removes it with all that was made for it. What an earlier trial left that was killed is removed first.
 */
export async function tryHost(config: WorkerConfig, signal: AbortSignal): Promise<Check[]> {
  const trial = trialConfig(config)
  const run = commandRunner({ commandPath: trial.commandPath, worker: trial.root })
  const host = makeTrialRuntime({ run, config: trial })
  const jail = trialJail(trial, commandOf(trial))
  const isNew = config.root.startsWith('/') && !existsSync(config.root)
  const directory = await host.open()
  const lock = await host.lockFile(`${directory}/trial.lock`)
  if (!lock) return runChecks([['trial', () => fault('Another one is at work on this host.', 'Wait for its end.')]])
  try {
    await host.endPredecessor()
    await removeJail(host, jail)
    await makeTrialWorld({ host, run, commandPath: trial.commandPath, signal })
    await bringUp(host, jail, signal)
    const isolation = await host.proveIsolation(jail, signal)
    const printed = await readUntilEnd(host.consoleOf(jail), signal)
    return await runChecks([...isolationChecks(isolation), ...judgeTrial(printed, jail)])
  } finally {
    await removeJail(host, jail)
    await lock.close()
    await host.discard()
    if (isNew) await rmdir(config.root)
  }
}

function commandOf(config: WorkerConfig): string[] {
  const { limits } = trialJail(config, [])
  const blocks = ((limits.disk ?? 0) * 2) / blockBytes
  const most = [limits.memory * beyond, limits.processes * beyond, busySeconds, blocks]
  return ['/bin/sh', '/trial/trial.sh', `${process.pid}`, ...most.map(String)]
}

async function bringUp(host: HostRuntime, jail: JailSpec, signal: AbortSignal): Promise<void> {
  await host.ensureRoot(jail, signal)
  await host.ensureNetwork(jail, signal)
  await host.ensureJail(jail, signal)
  await host.startCommand(jail, signal)
}

/** Also when the trial is ended: nothing of it stays. */
async function removeJail(host: HostRuntime, jail: JailSpec): Promise<void> {
  const { signal } = new AbortController()
  await host.removeJail(jail, signal)
  await host.removeNetwork(jail, signal)
  await host.removeRoot(jail, signal)
  await host.discardStages()
  await host.removeWorld(trialWorld)
}

async function readUntilEnd(console: string, signal: AbortSignal): Promise<string> {
  const deadline = performance.now() + longestMs
  for (;;) {
    const { text } = await readConsole(console, { mostBytes: mostConsoleBytes })
    if (/^trial end$/m.test(text) || performance.now() > deadline) return text
    await sleep(lookEveryMs, undefined, { signal })
  }
}

const isolationChecks = ({ checks }: Isolation): NamedCheck[] =>
  checks.map(({ name, ok, detail }) => [
    `isolation: ${name}`,
    () => (ok ? { ok, detail } : fault(`The jail ${detail}.`, 'Take no jails on this host before it is known why.')),
  ])
