import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  firstIdOf,
  leaseRange,
  mostRanges,
  rangeOf,
  rangeSize,
  releaseRange,
} from '../../../../../worker/host/linux/root/id-range.ts'

let top = ''
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'provost-ranges-'))
})
afterEach(() => rmSync(top, { recursive: true }))

const layout = () => ({ ranges: join(top, 'ranges') })

function jail(name: string) {
  const directory = join(top, name)
  mkdirSync(directory, { recursive: true })
  return { directory, range: join(directory, 'range') }
}

const numberOf = (first: number) => (first - firstIdOf(0)) / rangeSize

it('gives no two jails ids in common, and each the same ones again', () => {
  const names = Array.from({ length: 50 }, (_, i) => `j${i}`)
  const firsts = names.map((name) => leaseRange(layout(), jail(name)))
  expect(new Set(firsts).size).toBe(50)
  expect(firsts.every((first) => Number.isInteger(numberOf(first)) && numberOf(first) < mostRanges)).toBe(true)
  expect(names.map((name) => leaseRange(layout(), jail(name)))).toEqual(firsts)
  expect(names.map((name) => rangeOf(layout(), jail(name)))).toEqual(firsts)
})

it('gives the next range where another jail of the computer has the one that a jail would get', () => {
  const first = leaseRange(layout(), jail('a'))
  releaseRange(layout(), jail('a'))
  mkdirSync(join(top, 'ranges'))
  symlinkSync('/another/worker/jail', join(top, 'ranges', `${numberOf(first)}`))
  expect(rangeOf(layout(), jail('a'))).toBeUndefined()
  expect(leaseRange(layout(), jail('a'))).toBe(firstIdOf((numberOf(first) + 1) % mostRanges))
})

it('gives back also what a killed worker had leased and not written down', () => {
  const first = leaseRange(layout(), jail('a'))
  symlinkSync(jail('a').directory, join(top, 'ranges', `${(numberOf(first) + 7) % mostRanges}`))
  releaseRange(layout(), jail('a'))
  expect(() => readFileSync(join(top, 'ranges'))).toThrow('ENOENT')
})

it('says when all are leased', () => {
  mkdirSync(join(top, 'ranges'))
  for (let i = 0; i < mostRanges; i += 1) symlinkSync('/another/worker/jail', join(top, 'ranges', `${i}`))
  expect(() => leaseRange(layout(), jail('a'))).toThrow(`All ${mostRanges} ranges of ids on this computer are leased to jails.`)
})
