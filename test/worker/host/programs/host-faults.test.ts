import { describe, expect, test } from 'vitest'
import { toProvostError } from '#shared/errors.ts'
import { faultNamedIn } from '../../../../worker/host/programs/host-faults.ts'

const printed = {
  disk_full: [
    'mkdir: cannot create directory ‘web1’: No space left on device',
    'cp: error writing ‘/r/web1/f’: No space left on device',
    'mount: /r/web1: No space left on device.',
    'mkfs.ext4: No space left on device while writing out and closing file system',
    'tar: web1/f: Wrote only 4096 of 10240 bytes\ntar: f: Cannot write: Disk quota exceeded',
    'cp: /r/web1/f: Disc quota exceeded',
    'error creating /run/runc/web1: mkdir /run/runc/web1: no space left on device',
    "cannot create 'tank/r/web1': out of space",
  ],
  host_exhausted: [
    'sh: 1: Cannot fork',
    'bash: fork: retry: Resource temporarily unavailable',
    'jail: fork: Resource temporarily unavailable',
    'unable to start init: fork/exec /proc/self/exe: resource temporarily unavailable',
    'unshare: fork failed: Cannot allocate memory',
    'unshare: unshare failed: No space left on device',
    'runtime: failed to create new OS thread (have 2 already; errno=11)',
    'ip: cannot open netlink socket: Too many open files in system',
  ],
}

describe('what a program printed', () => {
  test.each(Object.entries(printed).flatMap(([fault, lines]) => lines.map((line) => [line, fault])))(
    '%s is %s',
    (line, fault) => {
      expect(faultNamedIn(line)).toBe(fault)
    },
  )

  test('is no fault of the host where it says nothing of it', () => {
    expect(faultNamedIn('tar: f: Cannot open: File exists')).toBeUndefined()
  })
})

test.each([
  ['ENOSPC', 'disk_full', false],
  ['EDQUOT', 'disk_full', false],
  ['EAGAIN', 'host_exhausted', true],
  ['ENOMEM', 'host_exhausted', true],
  ['EMFILE', 'host_exhausted', true],
  ['ENFILE', 'host_exhausted', true],
  ['EIO', 'unexpected', false],
])('a system error %s is %s', (errno, code, retryable) => {
  expect(toProvostError(Object.assign(new Error(`${errno}: x`), { code: errno }))).toMatchObject({ code, retryable })
})
