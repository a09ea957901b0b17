import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lookUp, requireOwnFiles } from '../../../../../worker/host/linux/root/own-files.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'provost-root-'))
  for (const name of ['etc', 'dev', 'proc', 'data']) mkdirSync(join(root, name))
  writeFileSync(join(root, 'etc/passwd'), '')
})
afterEach(() => rmSync(root, { recursive: true }))

const fifo = (path: string) => spawnSync('mkfifo', [join(root, path)])
const faultOf = () => {
  try {
    requireOwnFiles(root, 'web1')
    return undefined
  } catch (error) {
    return error
  }
}

describe('what is opened in the tree of a jail before it starts', () => {
  it('may be regular files, links to them, and nothing', () => {
    expect(faultOf()).toBeUndefined()
    writeFileSync(join(root, 'data/group'), '')
    symlinkSync('/data/group', join(root, 'etc/group'))
    expect(faultOf()).toBeUndefined()
    rmSync(join(root, 'etc'), { recursive: true })
    expect(faultOf()).toBeUndefined()
  })

  it('is never a FIFO, by whatever name, which would keep it waiting', () => {
    rmSync(join(root, 'etc/passwd'))
    fifo('data/pipe')
    for (const target of ['/data/pipe', '../data/pipe', '/etc/../../../data/./pipe']) {
      symlinkSync(target, join(root, 'etc/passwd'))
      expect(faultOf()).toMatchObject({
        code: 'world_invalid',
        message: '/etc/passwd of web1 is a FIFO, and would be opened for its start.',
        hint: "Make /etc/passwd in the jail's tree a regular file, or remove it, then retry.",
      })
      rmSync(join(root, 'etc/passwd'))
    }
    rmSync(join(root, 'etc'), { recursive: true })
    symlinkSync('data', join(root, 'etc'))
    fifo('data/group')
    expect(faultOf()).toMatchObject({ message: '/etc/group of web1 is a FIFO, and would be opened for its start.' })
  })

  it('is no device and no directory', () => {
    mkdirSync(join(root, 'etc/group'))
    expect(faultOf()).toMatchObject({ message: '/etc/group of web1 is a directory, and would be opened for its start.' })
  })

  it('is not looked for outside of it, nor in a circle of links', () => {
    symlinkSync('/../../../../etc/passwd', join(root, 'data/out'))
    expect(lookUp(root, 'data/out')?.ino).toBe(lookUp(root, 'etc/passwd')?.ino)
    symlinkSync('/data/b', join(root, 'data/a'))
    symlinkSync('a', join(root, 'data/b'))
    expect(lookUp(root, 'data/a')).toBeUndefined()
  })
})
