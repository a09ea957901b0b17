import { expect, it } from 'vitest'
import { capped } from '../../shared/capped.ts'

it('a text that is too long keeps its beginning and its end, and says how much is left out', () => {
  expect(capped('short', 100)).toBe('short')
  const long = capped(`begin${'x'.repeat(1_000_000)}end`)
  expect(long.length).toBeLessThanOrEqual(16_384)
  expect(long).toMatch(/^beginx+… \(983688 characters left out\) …x+end$/)
})
