import { expect, test } from 'vitest'
import { leftoverLines } from '../../../cli/hosts/leftovers.ts'

const now = Date.parse('2026-01-01T01:00:00.000Z')

test('has the leftovers of each jail, how often their removal was tried and when it is tried next', () => {
  const common = { since: '2026-01-01T00:00:00.000Z', lastError: 'umount: target is busy' }
  const lines = leftoverLines(
    'host1',
    [
      { ...common, jail: 'web1', steps: ['clone-root'], attempts: 1, nextTryAt: '2026-01-01T01:02:00.000Z' },
      { ...common, jail: 'web2', steps: ['start-jail', 'clone-root'], attempts: 7, nextTryAt: '2026-01-01T00:59:00.000Z' },
    ],
    now,
  )
  expect(lines.join('\n')).toBe(`JAIL  STEPS                  SINCE    TRIED    NEXT TRY  WHY
web1  clone-root             1 h ago  once     in 2 min  umount: target is busy
web2  start-jail clone-root  1 h ago  7 times  now       umount: target is busy`)
})

test('states that nothing is left', () => {
  expect(leftoverLines('host1', [], now)).toEqual(['Nothing is left on host1.'])
})
