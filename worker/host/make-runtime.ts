import type { WorkerConfig } from '../config/config.ts'
import { freebsdRuntime } from './freebsd/runtime.ts'
import type { HostRuntime, TrialRuntime } from './host-runtime.ts'
import { endPredecessor, endProcessesOf } from './linux/processes/end-processes.ts'
import { lockFile } from './linux/processes/lock-file.ts'
import { linuxRuntime } from './linux/runtime.ts'
import type { RunCommand } from './programs/run-command.ts'

type Deps = { run: RunCommand; config: WorkerConfig }

/** Returns the runtime that the configuration names. Locks and processes are the operating system's, whichever the runtime. */
export function makeRuntime(deps: Deps): HostRuntime {
  return runtimeOf(deps, true)
}

/** Returns the runtime of a host that nothing brings back at boot. */
export function makeTrialRuntime(deps: Deps): TrialRuntime {
  return runtimeOf(deps, false)
}

function runtimeOf({ run, config }: Deps, atBoot: boolean): TrialRuntime {
  switch (config.runtime) {
    case 'linux':
      return linuxRuntime({ run, config })
    case 'freebsd':
      if (process.platform !== 'linux') return freebsdRuntime({ run, config, atBoot })
      return freebsdRuntime({ run, config, atBoot, system: linuxSystem(run, config) })
  }
}

const linuxSystem = (run: RunCommand, { root }: WorkerConfig) => ({
  lockFile: (path: string) => lockFile(run, path),
  endPredecessor: () => endPredecessor(root),
  endProcessesOf: (operation: string) => endProcessesOf(root, operation),
})
