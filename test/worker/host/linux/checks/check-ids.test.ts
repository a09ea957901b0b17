import { expect, it } from 'vitest'
import { covers } from '../../../../../worker/host/linux/checks/check-ids.ts'

it('asks for all ids of jails in one line of a map', () => {
  expect(covers('         0          0 4294967295\n', 0x70000000, 0x7ffdffff)).toBe(true)
  expect(covers('0 100000 65536\n', 0x70000000, 0x7ffdffff)).toBe(false)
  expect(covers(`0 0 1\n${0x70000000} 5 100\n`, 0x70000000, 0x70000063)).toBe(true)
  expect(covers(`0 0 1\n${0x70000000} 5 99\n`, 0x70000000, 0x70000063)).toBe(false)
})
