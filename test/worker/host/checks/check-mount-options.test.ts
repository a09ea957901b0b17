import { describe, expect, it } from 'vitest'
import { checkMountOptions } from '../../../../worker/host/checks/check-mount-options.ts'

const mounts = [
  { point: '/', options: ['rw'] },
  { point: '/var', options: ['rw', 'noexec', 'nodev'] },
  { point: '/var/lib', options: ['rw', 'noexec'] },
  { point: '/var/lib', options: ['rw', 'nodev'] },
]

describe('the mount that holds the root', () => {
  it.each([
    ['/srv/provost', true],
    ['/variable', true],
    ['/var/lib/provost', false],
  ])('is fine for %s', (root, needsDevices) => {
    expect(checkMountOptions(root, mounts, needsDevices)).toMatchObject({ ok: true })
  })

  it('is at fault with noexec, whatever the worlds are', () => {
    expect(checkMountOptions('/var/jails', mounts, false)).toEqual({
      ok: false,
      detail: 'root is in /var, which is mounted with noexec: no program of a world or a jail could run.',
      remedy: 'mount -o remount,exec /var, in /etc/fstab too, or put root elsewhere.',
    })
  })

  it('is at fault with nodev where debootstrap makes a world', () => {
    expect(checkMountOptions('/var/lib/provost', mounts, true)).toMatchObject({
      ok: false,
      detail: 'root is in /var/lib, which is mounted with nodev: debootstrap refuses to make a world there.',
    })
  })
})
