import type { WorkerConfig } from '../config/config.ts'
import { freebsdRuntime } from './freebsd/runtime.ts'
import type { HostRuntime } from './host-runtime.ts'
import { endPredecessor, endProcessesOf } from './linux/processes/end-processes.ts'
import { lockFile } from './linux/processes/lock-file.ts'
import { linuxRuntime } from './linux/runtime.ts'
import type { RunCommand } from './programs/run-command.ts'

/** Returns the runtime that the configuration names. Locks and processes are the operating system's, whichever the runtime. */
export function makeRuntime({ run, config }: { run: RunCommand; config: WorkerConfig }): HostRuntime {
  switch (config.runtime) {
    case 'linux':
      return linuxRuntime({ run, config })
    case 'freebsd':
      if (process.platform !== 'linux') return freebsdRuntime({ run, config })
      return freebsdRuntime({ run, config, system: linuxSystem(run, config) })
  }
}

const linuxSystem = (run: RunCommand, { root }: WorkerConfig) => ({
  lockFile: (path: string) => lockFile(run, path),
  endPredecessor: () => endPredecessor(root),
  endProcessesOf: (operation: string) => endProcessesOf(root, operation),
})
