import { access } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { SourceWorld } from '../../config/world.ts'
import { refuseNewer, releaseOfSource } from '../files/freebsd-version.ts'
import type { WorldMethod } from '../world-method.ts'
import { type MakeTarget, makeTargets, sourceProgress } from './source-progress.ts'

const hour = 3_600_000
const timeoutMs: Record<MakeTarget, number> = {
  // 2.5 hours on 8 CPUs; a small host has two.
  buildworld: 24 * hour,
  installworld: 2 * hour,
  'distrib-dirs': hour,
  distribution: hour,
}

/** What Makefile.inc1 prints when it cannot go on, and what a person can do. */
const hints: [RegExp, string][] = [
  [
    /Required (\S+) (user|group) is missing/,
    'Merge the new users and groups into /etc/master.passwd and /etc/group as /usr/src/UPDATING says, then retry.',
  ],
  [/Please set DESTDIR/, 'The source tree wants DESTDIR for DB_FROM_SRC: see that make.conf or src-env.conf does not unset it.'],
  [
    /Required (?:tool|library) \S+ not found/,
    'The object tree is not that of a finished buildworld. Set buildworld: true, or run make buildworld, then retry.',
  ],
]
const tailLines = 60

/**
 * Installs a world from a source tree: the `make world DESTDIR=` of 1998 in today's steps, build(7). The object tree is outside
 * of the world and stays, whatever happens: the next try goes on with what was built.
 */
export const source: WorldMethod<SourceWorld> = async ({ world, directory, run, signal, progress }) => {
  const { path, objects, buildworld, jobs = availableParallelism(), target, targetArch } = world
  await access(join(path, 'Makefile')).catch((error) => {
    throw new ProvostError('world_source_missing', `${path} of world ${world.name} is no source tree of FreeBSD.`, {
      cause: error,
    })
  })
  const release = await releaseOfSource(path)
  if (release) await refuseNewer(release, `The source of world ${world.name}`, run, signal)

  const machine = [...(target ? [`TARGET=${target}`] : []), ...(targetArch ? [`TARGET_ARCH=${targetArch}`] : [])]
  const variables: Record<MakeTarget, string[]> = {
    // Without NO_CLEAN, releases before 14 throw away what an earlier try built (build(7)).
    buildworld: ['-DNO_CLEAN', ...machine],
    installworld: [`DESTDIR=${directory}`, 'DB_FROM_SRC=1', ...machine],
    'distrib-dirs': [`DESTDIR=${directory}`, 'DB_FROM_SRC=1', ...machine],
    distribution: [`DESTDIR=${directory}`, 'DB_FROM_SRC=1', ...machine],
  }
  const targets = makeTargets.filter((name) => buildworld || name !== 'buildworld')
  const reading = sourceProgress(targets, progress)
  for (const name of targets) {
    const at = reading.target(name)
    const tail = keepTail()
    const onOutput = (text: string) => {
      at.read(text)
      tail.add(text)
    }
    // Only the environment moves the object tree: as an argument, make(1) would hand it to every sub-make (build(7)).
    const env = { MAKEOBJDIRPREFIX: objects }
    const args = ['-C', path, `-j${jobs}`, name, ...variables[name]]
    await run('make', args, { signal, timeoutMs: timeoutMs[name], env, onOutput }).catch((error) => {
      signal.throwIfAborted()
      throw explain(toProvostError(error), name, at.stage(), tail.text())
    })
    at.end()
  }
}

/** Explains a failed make: bmake exits with 1 or 2 whatever happened, and its last lines only name where it stopped. */
function explain(error: ProvostError, target: MakeTarget, stage: string | undefined, tail: string): ProvostError {
  if (error.code !== 'command_failed') return error
  const text = `${tail}\n${error.facts.logTail ?? ''}`
  const hint = hints.find(([pattern]) => pattern.test(text))
  const cause = hint?.[0].exec(text)?.[0] ?? text.match(/\*\*\* .*Error code \d+.*|\*\*\* Signal \d+.*/g)?.[0] ?? error.message
  const where = stage ? ` in ${stage.trim()}` : ''
  return new ProvostError('command_failed', `make ${target} failed${where}: ${cause}`, {
    ...error.facts,
    logTail: tail || error.facts.logTail || '',
    ...(hint ? { hint: hint[1] } : {}),
  })
}

/** Keeps the last lines of standard output: compilers write so much to standard error that the end of both lacks the cause. */
function keepTail() {
  let lines: string[] = []
  return {
    add(text: string): void {
      lines = [...lines, ...text.split('\n').filter(Boolean)].slice(-tailLines)
    },
    text: () => lines.join('\n').slice(-4_096),
  }
}
