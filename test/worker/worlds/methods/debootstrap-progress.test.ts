import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { debootstrapProgress } from '../../../../worker/worlds/methods/debootstrap-progress.ts'

// What debootstrap 1.0.128 wrote for bookworm, minbase, with most of its counts left out.
const recorded = readFileSync(new URL('./debootstrap-progress.txt', import.meta.url), 'utf8')

function read(text: string) {
  const fractions: number[] = []
  const progress = debootstrapProgress((fraction) => fractions.push(fraction))
  for (const line of text.split('\n')) progress.read(`${line}\n`)
  return { fractions, fault: progress.fault() }
}

describe('the progress of debootstrap', () => {
  it('rises from its first download to its last package, and never goes back', () => {
    const { fractions, fault } = read(recorded)
    expect(fractions.length).toBeGreaterThan(40)
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b))
    expect(fractions[0]).toBe(0)
    expect(fractions.at(-1)).toBeCloseTo(0.98)
    expect(fault).toBeUndefined()
  })

  it('comes from the counts: half of the packages configured is half of that phase', () => {
    const { fractions } = read('P: 1 88 CONFREQ\nP: 44 88 CONFREQ\nP: 88 88 CONFREQ\n')
    const [, half = 0, whole = 0] = fractions
    expect(whole - half).toBeCloseTo(0.03)
  })

  it('returns the name and the words of what went wrong', () => {
    const text =
      'P: 0 100 DOWNREL\nE: NOGETREL\nEA: http://mirror.example.com/debian/dists/none/Release\nEF: Failed getting release file %s\n'
    expect(read(text).fault).toEqual({
      name: 'NOGETREL',
      message: 'Failed getting release file http://mirror.example.com/debian/dists/none/Release',
    })
  })
})
