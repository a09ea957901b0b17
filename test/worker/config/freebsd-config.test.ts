import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readWorkerConfig } from '../../../worker/config/config.ts'
import { World, worldDigest } from '../../../worker/config/world.ts'

const directory = mkdtempSync(join(tmpdir(), 'provost-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

const definitions = {
  source: { method: 'source' },
  release: { method: 'archive', release: '14.4' },
  archive: { method: 'archive', url: 'https://example.com/base.txz', sha256: 'a'.repeat(64) },
  pkgbase: { method: 'pkgbase', release: '15.0' },
  tree: { method: 'tree', path: '/srv/base' },
  debootstrap: { method: 'debootstrap', suite: 'bookworm' },
  busybox: { method: 'busybox' },
}

/** Returns the faults in a host's file with one world of each kind. */
function faultsOf(runtime: string, kinds: (keyof typeof definitions)[], network = {}, more = {}): string[] {
  const file = join(directory, 'worker.yaml')
  const config = {
    host: 'one',
    runtime,
    root: '/provost',
    network: { mode: 'shared', interface: 'em0', pools: [{ name: 'main', cidr: '10.0.0.0/24' }], ...network },
    capacity: { jails: 10, memory: '8G', cpu: 8 },
    defaults: { memory: '64M', cpu: 0.5, processes: 50 },
    worlds: kinds.map((kind) => ({ name: kind, ...definitions[kind] })),
    ...more,
  }
  writeFileSync(file, JSON.stringify(config))
  try {
    readWorkerConfig({}, file)
    return []
  } catch (error) {
    return String(error)
      .split('\n')
      .slice(1)
      .map((line) => line.trim().replace(/^line 1, /, ''))
  }
}

describe('the resolvers of a host', () => {
  it('are addresses that a jail can reach, at most three', () => {
    expect(faultsOf('freebsd', ['tree'], { resolvers: ['192.0.2.53', '2001:db8::53'] })).toEqual([])
    const faults = faultsOf('freebsd', ['tree'], { resolvers: ['127.0.0.1', '::1', 'dns.example.com'] })
    expect(faults.map((fault) => fault.split(':')[0])).toEqual([0, 1, 2].map((i) => `network.resolvers.${i}`))
    expect(faults[0]).toContain("is an address of the loopback, which in a jail is the jail's own")
    expect(faultsOf('freebsd', ['tree'], { resolvers: [1, 2, 3, 4].map((i) => `192.0.2.${i}`) })).toHaveLength(1)
  })
})

describe('the privileges that jails of a host may ask for', () => {
  const faults = (runtime: string, privileges: unknown) => faultsOf(runtime, ['tree'], {}, { privileges })

  it('are known ones', () => {
    for (const setuid of [true, false]) expect(faults('linux', { setuid })).toEqual([])
    expect(faults('linux', { setuid: 'yes' })).toHaveLength(1)
    expect(faults('linux', { setuid: true, mount: true })).toHaveLength(1)
  })

  it('are not denied on FreeBSD, where nothing would come of it', () => {
    expect(faults('freebsd', { setuid: true })).toEqual([])
    expect(faults('freebsd', { setuid: false })).toEqual([
      'privileges.setuid: cannot be denied: setuid programs give their rights in every jail of runtime freebsd',
    ])
  })
})

describe('how the memory of jails is limited', () => {
  const faults = (runtime: string, memory: unknown) => faultsOf(runtime, ['tree'], {}, { limits: { memory } })

  it('is one of two ways on FreeBSD, and nothing to choose elsewhere', () => {
    for (const memory of ['resident', 'reserved']) expect(faults('freebsd', memory)).toEqual([])
    expect(faults('freebsd', 'deny')).toEqual(['limits.memory: Invalid option: expected one of "resident"|"reserved"'])
    expect(faults('linux', 'resident')).toEqual([])
    expect(faults('linux', 'reserved')).toEqual(['limits.memory: reserved is known to runtime freebsd only'])
  })
})

describe('the worlds of a host', () => {
  it('are on FreeBSD from source, archives, packages and trees', () => {
    expect(faultsOf('freebsd', ['source', 'release', 'archive', 'pkgbase', 'tree'])).toEqual([])
    expect(faultsOf('freebsd', ['debootstrap', 'tree', 'busybox'])).toEqual([
      'worlds.0.method: debootstrap makes no world for runtime freebsd; use one of source, archive, pkgbase, tree',
      'worlds.2.method: busybox makes no world for runtime freebsd; use one of source, archive, pkgbase, tree',
    ])
  })

  it('are on Linux none of FreeBSD', () => {
    expect(faultsOf('linux', ['debootstrap', 'archive', 'tree', 'busybox'])).toEqual([])
    expect(faultsOf('linux', ['source', 'pkgbase', 'release'])).toEqual([
      'worlds.0.method: source makes no world for runtime linux; use one of debootstrap, archive, tree, busybox',
      'worlds.1.method: pkgbase makes no world for runtime linux; use one of debootstrap, archive, tree, busybox',
      'worlds.2.release: is one of FreeBSD, which runs on no host of runtime linux',
    ])
  })
})

describe('the definition of a world', () => {
  const accepts = (definition: Record<string, unknown>) => World.safeParse({ name: 'base', ...definition }).success

  it('has a source for an archive, and a way to check it', () => {
    expect(accepts({ method: 'archive' })).toBe(false)
    expect(accepts({ method: 'archive', path: '/a', url: 'https://example.com/a', sha256: 'a'.repeat(64) })).toBe(false)
    expect(accepts({ method: 'archive', path: '/a' })).toBe(false)
    expect(accepts({ method: 'archive', path: '/a', release: '14.4' })).toBe(true)
    for (const release of ['14', '14.4-RELEASE', '../..', '14.4 ']) expect(accepts({ method: 'archive', release })).toBe(false)
  })

  it('says nothing that make, pkg or a path would read as something else', () => {
    expect(accepts({ method: 'source', target: 'amd64 -DX' })).toBe(false)
    expect(accepts({ method: 'source', jobs: 0 })).toBe(false)
    expect(accepts({ method: 'source', path: 'usr/src' })).toBe(false)
    expect(accepts({ method: 'pkgbase', release: '15.0', set: '-y' })).toBe(false)
    expect(accepts({ method: 'pkgbase', release: '15.0', unheard: 1 })).toBe(false)
  })

  it('is the same world however fast it is built', () => {
    const digest = (more: object) => worldDigest(World.parse({ name: 'base', method: 'source', ...more }))
    expect(digest({ jobs: 8, prefill: true })).toBe(digest({}))
    expect(digest({ buildworld: true })).not.toBe(digest({}))
  })
})
