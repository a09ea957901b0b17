import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { layoutOf } from '../../../../worker/host/linux/layout.ts'

it('has names for each of several hosts on one computer, none too long for an interface', () => {
  const [a, b] = [layoutOf('/var/provost/a'), layoutOf('/var/provost/b')]
  const name = 'a'.repeat(30)
  expect(a.runDirectory).not.toBe(b.runDirectory)
  expect(a.bridgeMac).not.toBe(b.bridgeMac)
  expect(a.jail(name).veth).not.toBe(b.jail(name).veth)
  expect(a.jail(name).veth).toMatch(/^pv[0-9a-f]{10}$/)
  expect(a.jail(name).mac).toMatch(/^02(:[0-9a-f]{2}){5}$/)
})

it('knows a host by the real path of its root, also before it is made', () => {
  const directory = mkdtempSync(join(tmpdir(), 'provost-layout-'))
  symlinkSync(directory, join(directory, 'link'))
  expect(layoutOf(join(directory, 'link/host'))).toMatchObject({ root: layoutOf(join(directory, 'host')).root })
  rmSync(directory, { recursive: true })
})
