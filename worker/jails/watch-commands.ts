import type { CommandState } from '#shared/jail.ts'
import type { JailSpec } from '#shared/job.ts'
import { fleetTime } from '#shared/redis/fleet-clock.ts'
import type { JailReport } from '#shared/report.ts'
import type { HostRuntime } from '../host/host-runtime.ts'

/** That a jail's command has failed, for a note of drift. */
export type CommandDrift = { found: 'command-died'; since: string; reason: string }

type Deps = {
  host: Pick<HostRuntime, 'commandStateOf'>
  /** The id of the fleet that has the records. */
  fleet(): string | undefined
  report(jail: string, epoch: number, how: Pick<JailReport, 'jailState' | 'jid' | 'commandState'>): void
}

export type RunningJail = { spec: JailSpec; epoch: number; jid: number }

/** Watches the own commands of running jails: their end is reported, and is drift unless the exit code was 0. */
export function watchCommands({ host, fleet, report }: Deps) {
  const knownBy = fleet()
  /** By jail, what was seen last. */
  const seen = new Map<string, string>()
  let died: Map<string, CommandDrift> | undefined

  function note({ spec, epoch, jid }: RunningJail, commandState: CommandState): void {
    const now = JSON.stringify([fleet(), epoch, jid, commandState])
    if (seen.get(spec.name) === now) return
    seen.set(spec.name, now)
    // The operation that started it has reported that; a Redis that lost its records needs it again.
    if (commandState.state === 'running' && fleet() === knownBy) return
    report(spec.name, epoch, { jailState: 'running', jid, commandState })
  }

  return {
    /** By jail, whose command has failed; undefined before the first look. */
    died: (): ReadonlyMap<string, CommandDrift> | undefined => died,
    /** Looks at all jails that run as they are wanted. */
    async look(jails: RunningJail[]): Promise<void> {
      const found = new Map<string, CommandDrift>()
      for (const jail of jails) {
        const { name } = jail.spec
        const state = await host.commandStateOf(jail.spec, jail.jid)
        if (!state) continue
        note(jail, state)
        if (state.state === 'running' || state.exitCode === 0) continue
        const since = state.endedAt ?? died?.get(name)?.since ?? fleetTime().toISOString()
        found.set(name, { found: 'command-died', since, reason: reasonOf(state) })
      }
      died = found
    },
  }
}

function reasonOf({ exitCode }: CommandState): string {
  if (exitCode === null) return 'Its command has ended, and nobody saw how.'
  return exitCode > 128 ? `Its command was ended by signal ${exitCode - 128}.` : `Its command ended with exit code ${exitCode}.`
}
