import { spawnSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { namesOf } from '../../../../worker/host/names/names.ts'
import { writeNames } from '../../../../worker/host/names/write-names.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'provost-names-'))
  for (const path of ['root/etc', 'world/etc', 'outside']) mkdirSync(join(directory, path), { recursive: true })
})
afterEach(() => rmSync(directory, { recursive: true }))

const at = (path: string) => join(directory, path)
const read = (path: string) => readFileSync(at(path), 'utf8')
/** In the world, and so in a root that was made from it. */
const inWorld = (file: string, text: string) => {
  for (const tree of ['world', 'root']) writeFileSync(at(`${tree}/etc/${file}`), text)
}

function write({ address = '10.0.0.10', resolver = 'nameserver 192.0.2.53\n' as string | null } = {}): Promise<void> {
  const names = namesOf({ hostname: 'web1.example.com', addresses: [`${address}/24`] }, resolver ?? undefined)
  return writeNames({ root: at('root'), world: at('world'), record: at('names.json') }, names)
}

describe('the files of names of a jail', () => {
  it('are written when it is made, for all to read, and hostname only where its world has one', async () => {
    const umask = process.umask(0o077)
    await write().finally(() => process.umask(umask))
    expect(readdirSync(at('root/etc')).sort()).toEqual(['hosts', 'resolv.conf'])
    expect(read('root/etc/hosts')).toBe('127.0.0.1 localhost\n::1 localhost\n10.0.0.10 web1.example.com web1\n')
    expect(read('root/etc/resolv.conf')).toBe('nameserver 192.0.2.53\n')
    expect(statSync(at('root/etc/hosts')).mode & 0o777).toBe(0o644)
    rmSync(at('names.json'))
    inWorld('hostname', 'localhost\n')
    await write()
    expect(read('root/etc/hostname')).toBe('web1.example.com\n')
  })

  it('are written anew at each start where something is different', async () => {
    inWorld('hosts', '10.0.0.5 db\n')
    await write()
    await write({ address: '10.0.0.77', resolver: 'nameserver 192.0.2.99\n' })
    expect(read('root/etc/hosts')).toMatch(/^10\.0\.0\.77 web1\.example\.com web1\n10\.0\.0\.5 db\n$/m)
    expect(read('root/etc/hosts')).not.toContain('10.0.0.10')
    expect(read('root/etc/resolv.conf')).toBe('nameserver 192.0.2.99\n')
    const before = statSync(at('root/etc/hosts')).ino
    await write({ address: '10.0.0.77', resolver: null })
    expect(statSync(at('root/etc/hosts')).ino).toBe(before)
    expect(read('root/etc/resolv.conf')).toBe('nameserver 192.0.2.99\n')
  })

  it('are left as they are once their client has changed them, or removed one', async () => {
    await write()
    writeFileSync(at('root/etc/hosts'), '10.0.0.10 mine\n')
    rmSync(at('root/etc/resolv.conf'))
    await write({ address: '10.0.0.77' })
    expect(read('root/etc/hosts')).toBe('10.0.0.10 mine\n')
    expect(readdirSync(at('root/etc'))).toEqual(['hosts'])
  })

  it('are left as they are in a jail that is older than they, but for what its world has', async () => {
    inWorld('resolv.conf', 'nameserver 127.0.0.1\n')
    inWorld('hosts', '10.0.0.5 db\n')
    writeFileSync(at('root/etc/hosts'), '10.0.0.10 mine\n')
    await write()
    expect(read('root/etc/hosts')).toBe('10.0.0.10 mine\n')
    expect(read('root/etc/resolv.conf')).toBe('nameserver 192.0.2.53\n')
  })

  it('are ours still when the worker was killed before they were written', async () => {
    await write()
    const [old, before] = [read('root/etc/hosts'), JSON.parse(read('names.json'))]
    await write({ address: '10.0.0.77' })
    // What is noted before the file is written.
    const after = JSON.parse(read('names.json'))
    writeFileSync(at('names.json'), JSON.stringify({ ...after, hosts: [...before.hosts, ...after.hosts] }))
    writeFileSync(at('root/etc/hosts'), old)
    await write({ address: '10.0.0.78' })
    expect(read('root/etc/hosts')).toContain('10.0.0.78 web1.example.com')
  })

  it('follow no link that was planted, neither a file nor /etc itself', async () => {
    for (const name of ['hosts', 'resolv.conf']) {
      writeFileSync(at(`outside/${name}`), 'of the host\n')
      for (const tree of ['world', 'root']) symlinkSync(at(`outside/${name}`), at(`${tree}/etc/${name}`))
    }
    await write()
    expect(lstatSync(at('root/etc/hosts')).isFile()).toBe(true)
    rmSync(at('root/etc/hosts'))
    symlinkSync(at('outside/hosts'), at('root/etc/hosts'))
    await write({ address: '10.0.0.77' })
    expect(lstatSync(at('root/etc/hosts')).isSymbolicLink()).toBe(true)
    renameSync(at('root/etc'), at('root/old'))
    symlinkSync(at('outside'), at('root/etc'))
    await write({ address: '10.0.0.78' })
    for (const name of ['hosts', 'resolv.conf']) expect(read(`outside/${name}`)).toBe('of the host\n')
    expect(readdirSync(at('outside')).sort()).toEqual(['hosts', 'resolv.conf'])
  })

  it('say nothing of what the /etc of a world leads to', async () => {
    writeFileSync(at('outside/hosts'), '192.0.2.1 secret\n')
    rmSync(at('world/etc'), { recursive: true })
    symlinkSync(at('outside'), at('world/etc'))
    await write()
    expect(read('root/etc/hosts')).toBe('127.0.0.1 localhost\n::1 localhost\n10.0.0.10 web1.example.com web1\n')
  })

  it('keep no jail from starting: a directory in their place, a file without end, no /etc', async () => {
    mkdirSync(at('root/etc/hosts'))
    writeFileSync(at('root/etc/resolv.conf'), Buffer.alloc(1024 ** 2))
    await write()
    expect(lstatSync(at('root/etc/hosts')).isDirectory()).toBe(true)
    expect(statSync(at('root/etc/resolv.conf')).size).toBe(1024 ** 2)
    rmSync(at('root/etc'), { recursive: true })
    await write()
    expect(readdirSync(at('root'))).toEqual([])
  })

  it('keep no jail from starting, and are written nowhere else, whatever stands in their place or beside it', async () => {
    const odd: Record<string, (path: string) => unknown> = {
      link: (path) => symlinkSync(at('outside/file'), path),
      'dangling link': (path) => symlinkSync(at('outside/new'), path),
      loop: (path) => symlinkSync(path, path),
      fifo: (path) => spawnSync('mkfifo', [path]),
      directory: (path) => mkdirSync(join(path, 'full'), { recursive: true }),
    }
    writeFileSync(at('outside/file'), 'of the host\n')
    for (const [kind, make] of Object.entries(odd))
      for (const suffix of ['', '.provost-new']) {
        rmSync(at('root/etc'), { recursive: true })
        mkdirSync(at('root/etc'))
        rmSync(at('names.json'), { force: true })
        for (const name of ['hosts', 'hostname', 'resolv.conf']) make(at(`root/etc/${name}${suffix}`))
        await write()
        const written = suffix === '' || kind === 'directory' ? [] : ['hosts', 'resolv.conf']
        const files = readdirSync(at('root/etc'), { withFileTypes: true }).filter((entry) => entry.isFile())
        expect([kind, suffix, files.map(({ name }) => name).sort()]).toEqual([kind, suffix, written])
        expect([readdirSync(at('outside')), read('outside/file')]).toEqual([['file'], 'of the host\n'])
      }
  })

  it.skipIf(whyNoFlags())(
    'keep no jail from starting in an /etc that can only be appended to, or not changed at all',
    async () => {
      inWorld('hosts', '10.0.0.5 db\n')
      await write()
      for (const [i, flag] of ['a', 'i'].entries()) {
        spawnSync('chattr', [`+${flag}`, at('root/etc')])
        try {
          await write({ address: `10.0.0.7${i}` })
          await write({ address: `10.0.0.8${i}` })
          expect(read('root/etc/hosts')).toContain('10.0.0.10 web1.example.com')
          expect(readdirSync(at('root/etc')).sort()).toEqual(['hosts', 'hosts.provost-new', 'resolv.conf'])
        } finally {
          spawnSync('chattr', [`-${flag}`, at('root/etc')])
        }
      }
      await write({ address: '10.0.0.90' })
      expect(read('root/etc/hosts')).toContain('10.0.0.90 web1.example.com')
      expect(readdirSync(at('root/etc')).sort()).toEqual(['hosts', 'resolv.conf'])
    },
  )
})

/** Returns why no file can have a flag of chattr(1) here. */
function whyNoFlags(): string | undefined {
  const tree = mkdtempSync(join(tmpdir(), 'provost-flags-'))
  const hasFlags = spawnSync('chattr', ['+a', tree]).status === 0
  spawnSync('chattr', ['-a', tree])
  rmSync(tree, { recursive: true })
  if (hasFlags) return undefined
  const why = 'root and chattr(1) on a file system that has flags are needed'
  console.warn(`NOT RUN HERE: names in an /etc with flags: ${why}`)
  return why
}
