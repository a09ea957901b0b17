import { expect, test } from 'vitest'
import { waitSeconds } from '../../../../producer/http/answers/wait-for-end.ts'

test.each([
  ['wait=30', 30],
  ['Wait = 5', 5],
  ['wait="7"', 7],
  ['wait=5; quietly', 5],
  ['wait=0', 0],
  ['respond-async, wait=10', 10],
  ['note="a, wait=1", wait=2', 2],
  [['handling=lenient', 'wait=3'], 3],
  ['wait=61', 60],
  ['wait=99999999999999999999', 60],
  ['wait=10, wait=20', 10],
  ['wait, wait=20', undefined],
  ['wait=-1', undefined],
  ['wait=1.5', undefined],
  ['wait=10s', undefined],
  ['wait="5', undefined],
  ['note="a, wait=1', undefined],
  ['note="a\\", wait=1", wait=2', 2],
  ['waiting=5', undefined],
  ['wait-long=5', undefined],
  [',,;=', undefined],
  ['', undefined],
  [undefined, undefined],
])('Prefer: %s is a wait of %s seconds', (header, seconds) => {
  expect(waitSeconds(header)).toBe(seconds)
})

test.each(['"\\', '"a\\', '",'])('reads as much as a header can have in a moment: of %s', (part) => {
  const startedMs = performance.now()
  waitSeconds(part.repeat(8_000))
  expect(performance.now() - startedMs).toBeLessThan(100)
})
