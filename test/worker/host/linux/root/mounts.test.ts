import { expect, it } from 'vitest'
import { parseMount } from '../../../../../worker/host/linux/root/mounts.ts'

it('reads a line of mountinfo, with its optional fields and its escapes', () => {
  const line = '36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime master:1 shared:2 - overlay over rw,lowerdir=/a\\040b,upperdir=/u'
  expect(parseMount(line)).toEqual({
    device: '98:0',
    point: '/mnt/a b',
    options: ['rw', 'noatime'],
    fsType: 'overlay',
    superOptions: ['rw', 'lowerdir=/a b', 'upperdir=/u'],
  })
})
