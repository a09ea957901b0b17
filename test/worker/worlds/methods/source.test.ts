import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { World } from '../../../../worker/config/world.ts'
import { source } from '../../../../worker/worlds/methods/source.ts'
import {
  kernel,
  makeWorld,
  newerBuild,
  olderBuild,
  type Script,
  scriptedPrograms,
} from '../../../support/programs/scripted-programs.ts'
import { test } from '../world-fixture.ts'

type Settings = { make?: Script; version?: string; definition?: Record<string, unknown>; signal?: AbortSignal; sources?: string }

/** One fill of a world from a source tree of 15.0. */
async function fill(scratch: string, { make = makeWorld(), version = '15.1-RELEASE-p4', ...settings }: Settings = {}) {
  const path = settings.sources ?? (await sourceTree(scratch))
  const world = World.parse({ name: 'base', method: 'source', path, jobs: 8, ...settings.definition })
  if (world.method !== 'source') throw new Error('not this method')
  const { run, commands, environments } = scriptedPrograms({ make, 'freebsd-version': kernel(version) })
  const fractions: number[] = []
  const error = await source({
    world,
    directory: '/worlds/tree',
    platform: 'freebsd/x64',
    run,
    signal: settings.signal ?? new AbortController().signal,
    progress: (done) => fractions.push(done),
  }).catch((thrown) => thrown)
  const made = commands.filter(([program]) => program === 'make')
  return { error, made, fractions, path, environments: environments.filter((_, i) => commands[i]?.[0] === 'make') }
}

async function sourceTree(scratch: string) {
  const path = join(scratch, 'src')
  await mkdir(join(path, 'sys/conf'), { recursive: true })
  await writeFile(join(path, 'Makefile'), '')
  await writeFile(join(path, 'sys/conf/newvers.sh'), 'TYPE="FreeBSD"\nREVISION="15.0"\nBRANCH="RELEASE-p14"\n')
  return path
}

const rises = (fractions: number[]) => expect(fractions).toEqual(fractions.toSorted((a, b) => a - b))

describe('a world from source', () => {
  test('is installed from what was built, in three targets', async ({ scratch }) => {
    const { error, made, path, environments } = await fill(scratch)
    expect(error).toBeUndefined()
    const install = (target: string) => ['make', '-C', path, '-j8', target, 'DESTDIR=/worlds/tree', 'DB_FROM_SRC=1']
    expect(made).toEqual([install('installworld'), install('distrib-dirs'), install('distribution')])
    expect(environments).toEqual(Array(3).fill({ MAKEOBJDIRPREFIX: '/usr/obj' }))
  })

  test('is built first when its definition says so, for the machine that it names', async ({ scratch }) => {
    const definition = { buildworld: true, target: 'arm64', targetArch: 'aarch64', objects: '/tank/obj' }
    const { made, path, environments } = await fill(scratch, { definition })
    const machine = ['TARGET=arm64', 'TARGET_ARCH=aarch64']
    expect(made[0]).toEqual(['make', '-C', path, '-j8', 'buildworld', '-DNO_CLEAN', ...machine])
    expect(made.slice(1).map((command) => [command[4], ...command.slice(-2)])).toEqual([
      ['installworld', ...machine],
      ['distrib-dirs', ...machine],
      ['distribution', ...machine],
    ])
    expect(environments).toEqual(Array(4).fill({ MAKEOBJDIRPREFIX: '/tank/obj' }))
  })

  for (const [release, stages] of Object.entries({ 'older numbering': olderBuild, 'newer numbering': newerBuild }))
    test(`shows progress at each stage, never back and whole only at its end (${release})`, async ({ scratch }) => {
      const { fractions } = await fill(scratch, { make: makeWorld({ stages }), definition: { buildworld: true } })
      rises(fractions)
      expect(fractions[0]).toBe(0)
      expect(fractions.filter((done) => done === 1)).toHaveLength(1)
      expect(fractions.at(-1)).toBe(1)
      // What takes hours is most of it, and is seen in more than one step.
      expect(new Set(fractions.filter((done) => done < 0.95)).size).toBeGreaterThanOrEqual(6)
    })

  test('shows nothing new while a stage is silent, and never an end that has not come', async ({ scratch }) => {
    const atStage = new Map<string, number>()
    let last = 0
    const make = makeWorld({ pause: (title) => void atStage.set(title, last) })
    const world = World.parse({ name: 'base', method: 'source', path: await sourceTree(scratch), jobs: 8, buildworld: true })
    if (world.method !== 'source') throw new Error('not this method')
    const { run } = scriptedPrograms({ make, 'freebsd-version': kernel('15.0-RELEASE') })
    await source({
      world,
      directory: '/worlds/tree',
      platform: 'freebsd/x64',
      run,
      signal: new AbortController().signal,
      progress: (done) => {
        last = done
      },
    })
    expect(atStage.get('stage 3: cross tools')).toBeLessThan(0.15)
    expect(atStage.get('stage 4.4: building everything')).toBeGreaterThan(0.6)
    expect(atStage.get('stage 4.4: building everything')).toBeLessThan(0.9)
    expect(atStage.get('distribution')).toBeLessThan(1)
  })

  test('never goes back, although a stage begins once more', async ({ scratch }) => {
    const stages = [
      ...newerBuild.slice(0, -2),
      'stage 4.1: building includes',
      'stage 1.2: bootstrap tools',
      ...newerBuild.slice(-2),
    ]
    rises((await fill(scratch, { make: makeWorld({ stages }), definition: { buildworld: true } })).fractions)
  })

  for (const stages of [olderBuild, newerBuild])
    for (const failAt of stages.filter((title) => title.startsWith('stage ')))
      test(`says that it failed in ${failAt} (${stages === olderBuild ? 'older' : 'newer'})`, async ({ scratch }) => {
        const { error, made, fractions } = await fill(scratch, {
          make: makeWorld({ stages, failAt }),
          definition: { buildworld: true },
        })
        expect(error).toMatchObject({
          code: 'command_failed',
          retryable: false,
          facts: {
            exitCode: 2,
            command: expect.stringContaining(' buildworld'),
            logTail: expect.stringMatching(/unable to rename\n\*\*\* \[thing\.o\] Error code 1/),
          },
        })
        expect(error.message).toMatch(/^make buildworld failed in stage \d.*: \*\*\* \[thing\.o\] Error code 1$/)
        expect(error.message).toContain(failAt)
        expect(made).toHaveLength(1)
        rises(fractions)
        expect(Math.max(0, ...fractions)).toBeLessThan(0.95)
      })

  for (const target of ['installworld', 'Making hierarchy', 'distrib-dirs', 'distribution'])
    test(`is not gone on with when it fails at ${target}`, async ({ scratch }) => {
      const { error, made } = await fill(scratch, { make: makeWorld({ failAt: target }) })
      expect(error).toMatchObject({ code: 'command_failed', message: expect.stringContaining('Error code 1') })
      expect(made.at(-1)).toContain(target === 'Making hierarchy' ? 'installworld' : target)
    })

  const hints: [string, RegExp][] = [
    ['ERROR: Required ntpd user is missing, see /usr/src/UPDATING.\n', /UPDATING/],
    ['ERROR: Please set DESTDIR!\n', /DESTDIR/],
    ['Required tool install not found in PATH.\n', /buildworld: true/],
    ['Required library libc.so.7 not found.\n', /buildworld: true/],
  ]
  for (const [words, hint] of hints)
    test(`says what to do when make says: ${words.trim()}`, async ({ scratch }) => {
      const { error } = await fill(scratch, { make: makeWorld({ failAt: 'Install check', words }) })
      expect(error).toMatchObject({ code: 'command_failed', hint: expect.stringMatching(hint) })
      expect(error.message).toMatch(/^make installworld failed in Install check world started.*: (Required|Please)/)
    })

  test('is refused when it is newer than the kernel, before hours of building', async ({ scratch }) => {
    const { error, made } = await fill(scratch, { version: '14.4-RELEASE-p10', definition: { buildworld: true } })
    expect(error).toMatchObject({ code: 'world_too_new', retryable: false, message: expect.stringContaining('15.0-RELEASE-p14') })
    expect(made).toEqual([])
  })

  test('is missed when there is no source tree', async ({ scratch }) => {
    const { error, made } = await fill(scratch, { sources: join(scratch, 'none') })
    expect(error).toMatchObject({ code: 'world_source_missing', message: expect.stringContaining(join(scratch, 'none')) })
    expect(made).toEqual([])
  })

  test('ends with why it was cancelled, not with what make said of it', async ({ scratch }) => {
    const stop = new AbortController()
    const make = makeWorld({
      failAt: 'cross tools',
      pause: (title) => (title.includes('cross') ? stop.abort(new Error('stopped')) : undefined),
    })
    const { error } = await fill(scratch, { make, definition: { buildworld: true }, signal: stop.signal })
    expect(error).toEqual(new Error('stopped'))
  })
})
