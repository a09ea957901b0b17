import { existsSync, readFileSync } from 'node:fs'
import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { World } from '../../../../worker/config/world.ts'
import { pkgbase } from '../../../../worker/worlds/methods/pkgbase.ts'
import { kernel, type Script, scriptedPrograms } from '../../../support/programs/scripted-programs.ts'
import { test } from '../world-fixture.ts'

/** pkg(8) with three packages, in the lines that it prints when no terminal reads them. */
const threePackages: Script = (args, say) => {
  const names = ['FreeBSD-runtime-15.0p4', 'FreeBSD-zlib-15.0p4', 'FreeBSD-set-base-jail-15.0p4']
  if (args.includes('update')) say.stdout('Updating FreeBSD-base repository catalogue...\nProcessing entries: .......... done\n')
  else if (args.includes('-F')) {
    say.stdout('The following 3 package(s) will be affected (of 0 checked):\n\nNumber of packages to be installed: 3\n')
    for (const [i, name] of names.entries()) say.stdout(`[${i + 1}/3] Fetching ${name}: .......... done\n`)
  } else {
    for (const [i, name] of names.entries()) {
      say.stdout(`[${i + 1}/3] Installing ${name}...\n`)
      if (!name.includes('-set-')) say.stdout(`[${i + 1}/3] Extracting ${name}: .......... done\n`)
    }
    say.stdout('==> Running trigger: mandoc.ucl\n')
  }
  return 0
}

type Settings = { pkg?: Script; definition?: Record<string, unknown>; version?: string; withKeys?: boolean }

async function fill(
  scratch: string,
  { pkg = threePackages, definition, version = '15.0-RELEASE-p14', withKeys = true }: Settings = {},
) {
  const [directory, keys] = [join(scratch, `tree-${Math.random()}`), join(scratch, 'keys')]
  await mkdir(directory)
  if (withKeys) {
    await mkdir(join(keys, 'pkgbase-15/trusted'), { recursive: true })
    await writeFile(join(keys, 'pkgbase-15/trusted/pkgbase.freebsd.org.2025'), 'function: sha256\n')
  }
  const { run, commands } = scriptedPrograms({ pkg, 'freebsd-version': kernel(version) })
  const world = World.parse({ name: 'base', method: 'pkgbase', release: '15.0', keys, ...definition })
  if (world.method !== 'pkgbase') throw new Error('not this method')
  const fractions: number[] = []
  const error = await pkgbase({
    world,
    directory,
    platform: 'freebsd/x64',
    run,
    signal: new AbortController().signal,
    progress: (done) => fractions.push(done),
  }).catch((thrown) => thrown)
  return { error, directory, fractions, commands: commands.filter(([program]) => program === 'pkg') }
}

describe('a world from packages of the base system', () => {
  test('is updated, fetched and installed below its own root, for its own release', async ({ scratch }) => {
    const { error, directory, commands } = await fill(scratch)
    expect(error).toBeUndefined()
    const common = ['pkg', '--rootdir', directory, '--repo-conf-dir', join(directory, '.provost-pkg')]
    const options = ['-o', 'IGNORE_OSVERSION=yes', '-o', 'ABI=FreeBSD:15:amd64', '-o', 'ASSUME_ALWAYS_YES=yes']
    expect(commands).toEqual([
      [...common, ...options, 'update', '-r', 'FreeBSD-base'],
      [...common, ...options, 'install', '-U', '-F', '-y', '-r', 'FreeBSD-base', 'FreeBSD-set-base-jail'],
      [...common, ...options, 'install', '-U', '-y', '-r', 'FreeBSD-base', 'FreeBSD-set-base-jail'],
    ])
  })

  test('has its keys in the root, and a repository that names them, before pkg first looks', async ({ scratch }) => {
    const seen: unknown[] = []
    const pkg: Script = (args, say, options) => {
      const root = args[args.indexOf('--rootdir') + 1] ?? ''
      const repositories = args[args.indexOf('--repo-conf-dir') + 1] ?? ''
      seen.push({
        key: existsSync(join(root, 'usr/share/keys/pkgbase-15/trusted/pkgbase.freebsd.org.2025')),
        repository: JSON.parse(readFileSync(join(repositories, 'FreeBSD-base.conf'), 'utf8')),
      })
      return threePackages(args, say, options)
    }
    await fill(scratch, { pkg })
    expect(seen[0]).toEqual({
      key: true,
      repository: {
        'FreeBSD-base': {
          url: `pkg+https://pkg.FreeBSD.org/\${ABI}/base_release_0`,
          mirror_type: 'srv',
          signature_type: 'fingerprints',
          fingerprints: '/usr/share/keys/pkgbase-15',
          enabled: true,
        },
      },
    })
    expect(seen).toHaveLength(3)
  })

  test('takes the latest packages, another set and a mirror as its definition says', async ({ scratch }) => {
    let conf = ''
    const pkg: Script = (args, say, options) => {
      conf = readFileSync(join(args[args.indexOf('--repo-conf-dir') + 1] ?? '', 'FreeBSD-base.conf'), 'utf8')
      return threePackages(args, say, options)
    }
    const definition = { branch: 'latest', set: 'minimal-jail', mirror: 'https://mirror.example.com/pkg/' }
    const { commands } = await fill(scratch, { pkg, definition })
    expect(commands.at(-1)?.at(-1)).toBe('FreeBSD-set-minimal-jail')
    expect(JSON.parse(conf)['FreeBSD-base']).toMatchObject({
      url: `https://mirror.example.com/pkg/\${ABI}/base_latest`,
      mirror_type: 'none',
      fingerprints: '/usr/share/keys/pkg',
    })
  })

  test('shows progress by the packages that pkg counts, never back and whole only at its end', async ({ scratch }) => {
    const { fractions } = await fill(scratch)
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b))
    expect(new Set(fractions).size).toBeGreaterThanOrEqual(7)
    // The last package is being installed, and is not there yet.
    expect(fractions.filter((done) => done === 1)).toHaveLength(1)
  })

  test('keeps nothing of what was fetched, and no file of its own', async ({ scratch }) => {
    const pkg: Script = async (args, say, options) => {
      const cache = join(args[args.indexOf('--rootdir') + 1] ?? '', 'var/cache/pkg')
      await mkdir(cache, { recursive: true })
      if (args.includes('-F')) await writeFile(join(cache, 'FreeBSD-runtime-15.0p4~0123456789.pkg'), 'x')
      return threePackages(args, say, options)
    }
    const { directory } = await fill(scratch, { pkg })
    expect(await readdir(directory)).toEqual(['usr', 'var'])
    expect(await readdir(join(directory, 'var/cache/pkg'))).toEqual([])
  })

  const faults: [string, string, string, Record<string, unknown>][] = [
    [
      'update',
      'a mirror that is away',
      'pkg: https://pkg.FreeBSD.org/x/meta.txz: No address record',
      { code: 'mirror_unavailable', retryable: true },
    ],
    [
      '-F',
      'a connection that breaks',
      'pkg: https://pkg.FreeBSD.org/x.pkg: Operation timed out',
      { code: 'mirror_unavailable', retryable: true },
    ],
    [
      'update',
      'a release without packages',
      'pkg: https://pkg.FreeBSD.org/x/meta.txz: Not Found',
      { code: 'world_source_missing', retryable: false },
    ],
    [
      '-F',
      'a set that is not there',
      "pkg: No packages available to install matching 'FreeBSD-set-base-jail' have been found in the repositories",
      { code: 'world_source_missing', retryable: false },
    ],
    [
      'update',
      'a wrong key',
      'pkg: No trusted public keys found',
      { code: 'command_failed', retryable: false, hint: expect.stringMatching(/keys/) },
    ],
    ['-y', 'anything else', 'pkg: Fail to create hardlink: Cross-device link', { code: 'command_failed', retryable: false }],
  ]
  for (const [at, what, words, expected] of faults)
    test(`fails for ${what}, and goes no further`, async ({ scratch }) => {
      const pkg: Script = (args, say, options) => {
        if (!args.includes(at)) return threePackages(args, say, options)
        say.stderr(`${words}\n`)
        return 1
      }
      const { error, commands } = await fill(scratch, { pkg })
      expect(error).toMatchObject(expected)
      expect(commands.at(-1)).toContain(at)
      expect(commands.filter((command) => command.includes(at))).toHaveLength(1)
    })

  test('is refused when it is newer than the kernel, or when no keys are there', async ({ scratch }) => {
    const old = await fill(scratch, { version: '14.5-RELEASE-p1' })
    expect({ code: old.error.code, commands: old.commands }).toEqual({ code: 'world_too_new', commands: [] })
    const keyless = await fill(join(scratch), { definition: { keys: join(scratch, 'none') }, withKeys: false })
    expect({ code: keyless.error.code, commands: keyless.commands }).toEqual({ code: 'world_source_missing', commands: [] })
    await expect(lstat(join(keyless.directory, 'usr'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('is refused by its definition before 15.0', () => {
    const parse = (release: string) => World.safeParse({ name: 'base', method: 'pkgbase', release })
    expect(parse('14.4').error?.issues).toMatchObject([
      { path: ['release'], message: expect.stringMatching(/15\.0 or later.*archive/) },
    ])
    expect(parse('15.0').success).toBe(true)
    expect(parse('16.0').success).toBe(true)
  })
})
