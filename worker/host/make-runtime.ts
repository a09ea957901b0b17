import type { WorkerConfig } from '../config/config.ts'
import { freebsdRuntime } from './freebsd/runtime.ts'
import type { HostRuntime } from './host-runtime.ts'
import { endPredecessor, endProcessesOf } from './linux/processes/end-processes.ts'
import { lockFile } from './linux/processes/lock-file.ts'
import { linuxRuntime } from './linux/runtime.ts'
import type { RunCommand } from './programs/run-command.ts'

/** Returns the runtime that the configuration names. Locks and processes are the operating system's, whichever the runtime. */
export function makeRuntime({ run, config }: { run: RunCommand; config: WorkerConfig }): HostRuntime {
  if (config.runtime === 'linux') return linuxRuntime({ run, config })
  if (process.platform !== 'linux') return freebsdRuntime({ run, config })
  const system = {
    lockFile: (path: string) => lockFile(run, path),
    endPredecessor: () => endPredecessor(config.root),
    endProcessesOf: (operation: string) => endProcessesOf(config.root, operation),
  }
  return freebsdRuntime({ run, config, system })
}
