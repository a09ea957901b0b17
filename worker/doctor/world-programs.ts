import type { WorkerConfig } from '../config/config.ts'
import type { World } from '../config/world.ts'
import { fault, fine, type Result } from '../host/checks/check-result.ts'
import { findProgram } from '../host/programs/run-command.ts'

/** The programs that each method of making a world needs, beyond those that every host needs. */
const programs: Record<World['method'], string[]> = {
  archive: ['tar'],
  busybox: ['busybox', 'chroot'],
  debootstrap: ['debootstrap', 'wget'],
  pkgbase: ['pkg'],
  source: ['make'],
  tree: [],
}

export function checkWorldPrograms({ worlds, commandPath }: Pick<WorkerConfig, 'worlds' | 'commandPath'>): Result {
  const missing = worlds.flatMap(({ name, method }) =>
    programs[method].filter((program) => !findProgram(program, commandPath)).map((program) => `${program} (world ${name})`),
  )
  if (missing.length === 0) return fine('What makes the worlds of this host is there.')
  return fault(`Missing in ${commandPath}: ${missing.join(', ')}.`, 'Install them, set commandPath, or leave those worlds out.')
}
