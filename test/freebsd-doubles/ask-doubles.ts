import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { InJail } from '../support/freebsd/in-jail.ts'
import { findJail } from '../support/freebsd/kernel.ts'
import { simulatedFreebsd } from '../support/freebsd/simulated-freebsd.ts'
import type { Ask } from './judge-case.ts'

const anyExitCode = Array.from({ length: 256 }, (_, i) => i)

/** A simulated host of its own: a line that names one of its programs is for it, any other for this computer's sh(1). */
export function askDoubles(directory: string): Ask {
  mkdirSync(directory, { recursive: true })
  const { run, programs, kernel } = simulatedFreebsd(directory, inJail)
  const verbs: Record<string, (...args: string[]) => void> = {
    world: makeWorld,
    leave: (name, ...argv) => {
      const jail = findJail(kernel, name ?? '')
      if (!jail) throw new Error(`There is no jail ${name}.`)
      kernel.leaveInJail(jail, { argv, log: undefined, ended: () => undefined })
    },
    busy: (point = '') => kernel.busyMounts.add(point),
    idle: (point = '') => kernel.busyMounts.delete(point),
    dying: (looks) => {
      kernel.dyingFor = Number(looks)
    },
    full: (value = '') => {
      kernel.poolFull = value === 'yes'
    },
    racct: (value = '') => kernel.sysctl.set('kern.racct.enable', value),
  }
  return async (line) => {
    const filled = Object.entries(placesOf(directory)).reduce((text, [name, place]) => text.replaceAll(`$${name}`, place), line)
    const [program = '', ...args] = wordsOf(filled)
    const verb = verbs[program]
    if (verb) {
      verb(...args)
      return { exitCode: 0, stdout: '', stderr: '' }
    }
    if (programs.includes(program)) return run(program, args, { okExitCodes: anyExitCode })
    const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', line], {
      encoding: 'utf8',
      env: { PATH: '/bin:/usr/bin', ...placesOf(directory) },
    })
    return { exitCode: status ?? 1, stdout, stderr }
  }
}

/** `R`: a directory of the case's own, `Z`: a dataset that is mounted on `M`, `I`: an interface. */
export function placesOf(directory: string): Record<string, string> {
  return { M: join(directory, 'tank'), R: directory, Z: 'tank', I: 'em0' }
}

/** As much of a world as jail(8) asks for. */
function makeWorld(tree = ''): void {
  for (const name of ['bin', 'dev', 'etc']) mkdirSync(join(tree, name), { recursive: true })
  writeFileSync(join(tree, 'etc/pwd.db'), '')
}

/** Scripts are really run, by this computer's sh(1); sleep(1) goes on. */
const inJail: InJail = ({ path }, [program = '', first = '', ...rest]) => {
  if (program.endsWith('sleep')) return { exitCode: undefined }
  if (program !== '/bin/sh') return { exitCode: program.endsWith('false') ? 1 : 0 }
  const { status, signal } = spawnSync('/bin/sh', [first === '-c' ? first : join(path, first), ...rest])
  return signal ? { exitCode: 1, signal } : { exitCode: status ?? 1 }
}

/** The words of a line, with the quotes of sh(1). */
function wordsOf(line: string): string[] {
  const words = line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? []
  return words.map((word) => word.replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double))
}
