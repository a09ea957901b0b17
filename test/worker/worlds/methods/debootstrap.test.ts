import { mkdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { World } from '../../../../worker/config/world.ts'
import type { RunCommand } from '../../../../worker/host/programs/run-command.ts'
import { debootstrap } from '../../../../worker/worlds/methods/debootstrap.ts'
import { test } from '../world-fixture.ts'

type Answers = {
  /** What debootstrap writes to its descriptor 3; with an `E:` line it fails. */
  says: string
  /** What the mirror answers to the question whether it has the suite. */
  wget?: string
  /** Files that debootstrap leaves, by their paths. */
  leaves?: Record<string, string>
}

async function fill(
  scratch: string,
  { says, wget = '', leaves = {} }: Answers,
  definition: Record<string, unknown> = {},
  platform = 'linux/x64',
) {
  const directory = join(scratch, `target-${Math.random()}`)
  await mkdir(directory)
  const commands: string[][] = []
  const settings: string[] = []
  const run: RunCommand = async (program, args, options = {}) => {
    commands.push([program, ...args])
    if (program === 'apt-config') throw new ProvostError('program_missing', 'no apt-config')
    if (program === 'wget') return { exitCode: 8, stdout: '', stderr: wget }
    settings.push(readFileSync(options.env?.['WGETRC'] ?? '', 'utf8'))
    writeSync(options.descriptor ?? -1, says)
    for (const [path, text] of Object.entries(leaves)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true })
      writeFileSync(join(directory, path), text)
    }
    if (says.includes('E: ')) throw new ProvostError('command_failed', 'debootstrap ended with exit code 1', { exitCode: 1 })
    return { exitCode: 0, stdout: '', stderr: '' }
  }
  const base = { name: 'debian', method: 'debootstrap', suite: 'bookworm', mirror: 'http://mirror.example.com/debian' }
  const world = World.parse({ ...base, ...definition })
  if (world.method !== 'debootstrap') throw new Error('not this method')
  const fractions: number[] = []
  const signal = new AbortController().signal
  const error = await debootstrap({ world, directory, platform, run, signal, progress: (done) => fractions.push(done) }).catch(
    (thrown) => thrown,
  )
  return { error, commands, settings, fractions, directory }
}

const fault = (name: string, format: string) => `E: ${name}\nEA: x\nEF: ${format}\n`

describe('a world from debootstrap', () => {
  test('is made in a mount namespace of its own on Linux, so that no mount outlives it', async ({ scratch }) => {
    const { commands, settings, directory } = await fill(scratch, { says: 'P: 1 2 CONFREQ\n' }, { include: ['curl', 'less'] })
    const args = ['--debian-installer', '--variant=minbase', '--include=curl,less', 'bookworm', directory]
    expect(commands).toEqual([
      ['apt-config', 'dump', '--no-empty', 'Acquire::http', 'Acquire::https'],
      ['unshare', '--mount', '--', 'debootstrap', ...args, 'http://mirror.example.com/debian'],
    ])
    expect(settings).toEqual(['timeout = 30\ntries = 3\n'])
  })

  test('says nothing of a password of its mirror, neither in an error nor to the jails of the world', async ({ scratch }) => {
    const mirror = 'http://keeper:s3cret%40word@mirror.example.com/debian'
    const says = `E: COULDNTDLPKGS\nEA: ${mirror}/pool/a.deb\nEF: Couldn't download packages: %s\n`
    const { error } = await fill(scratch, { says }, { mirror })
    expect(error.message).toBe("debootstrap: Couldn't download packages: http://***@mirror.example.com/debian/pool/a.deb")
    const without = await fill(scratch, { says: fault('NOGETREL', 'x'), wget: '  HTTP/1.1 404 Not Found\n' }, { mirror })
    expect(without.error.message).toBe('The mirror http://***@mirror.example.com/debian has no suite bookworm.')
    const made = await fill(
      scratch,
      { says: '', leaves: { 'etc/apt/sources.list': `deb ${mirror} bookworm main\n` } },
      { mirror },
    )
    expect(made.commands.at(-1)).toContain(mirror)
    expect(readFileSync(join(made.directory, 'etc/apt/sources.list'), 'utf8')).toBe(
      'deb http://mirror.example.com/debian bookworm main\n',
    )
  })

  test('is made without one where there are none', async ({ scratch }) => {
    const { commands } = await fill(scratch, { says: '' }, {}, 'freebsd/x64')
    expect(commands.at(-1)?.slice(0, 3)).toEqual(['debootstrap', '--debian-installer', '--variant=minbase'])
  })

  test('may be tried again when a download did not work', async ({ scratch }) => {
    const { error } = await fill(scratch, { says: fault('COULDNTDLPKGS', "Couldn't download packages: %s") })
    expect(error).toMatchObject({
      code: 'mirror_unavailable',
      retryable: true,
      message: "debootstrap: Couldn't download packages: x",
    })
  })

  test('distinguishes a mirror that answers without the suite from one that does not answer', async ({ scratch }) => {
    const says = fault('NOGETREL', 'Failed getting release file %s')
    const without = await fill(scratch, { says, wget: '  HTTP/1.1 404 Not Found\n' })
    expect(without.error).toMatchObject({ code: 'world_source_missing', retryable: false })
    const away = await fill(scratch, { says, wget: '  HTTP/1.1 503 Service Unavailable\n' })
    expect(away.error).toMatchObject({ code: 'mirror_unavailable', retryable: true })
  })

  test('fails at once for a suite that debootstrap does not know, and for a bad signature', async ({ scratch }) => {
    const unknown = await fill(scratch, { says: fault('NOSCRIPT', 'No such script: %s') })
    expect(unknown.error).toMatchObject({ code: 'world_source_missing', retryable: false })
    const forged = await fill(scratch, { says: fault('BADRELSIG', 'Invalid Release signature (key id %s)') })
    expect(forged.error).toMatchObject({
      code: 'command_failed',
      retryable: false,
      message: expect.stringMatching(/Invalid Release signature/),
    })
  })
})
