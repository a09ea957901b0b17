import { expect, test } from 'vitest'
import { pretendProducer } from '../../support/fleets/pretend-producer.ts'

const { provost, asked } = pretendProducer()

const fleet = '01936c3e-0000-4000-8000-000000000001'
const host = { id: 'host1', state: 'uploading', jails: 2, operations: 3, conflicts: [] }
const conflicts = [{ jail: 'web2', detail: 'The fleet has another jail called web2, on host host2.' }]
const recovering = { fleet, state: 'recovering', hosts: [host], lost: 'Batches.' }
const normal = { ...recovering, state: 'normal', hosts: [{ ...host, state: 'taken', jails: 1, conflicts }] }
const answer = (body: object) => ({ status: 200, headers: { 'content-type': 'application/json' }, body })

test('recover shows the progress of each host until all are done, and what is lost', async () => {
  const { exitCode, stdout } = await provost(['recover'], [answer(recovering), answer(recovering), answer(normal)])
  expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual(
    ['POST', 'GET', 'GET'].map((method) => `${method} /v1/recover`),
  )
  expect([exitCode, stdout.split('\n')]).toEqual([
    0,
    [
      'host1 uploads its journal: 2 jails, 3 operations',
      `The records of fleet ${fleet} are rebuilt.`,
      'HOST   STATE  JAILS  OPERATIONS  CONFLICTS',
      'host1  taken  1      3           1',
      'Not taken in; see `provost hosts adopt` and `provost hosts clean`:',
      '  web2 on host1: The fleet has another jail called web2, on host host2.',
      'Lost: Batches.',
    ],
  ])
})

test('recover shows that nothing was lost, and with --json the body of the answer', async () => {
  const whole = answer({ fleet, state: 'normal', hosts: [], lost: null })
  expect((await provost(['recover'], [whole])).stdout).toBe(`Nothing was lost: fleet ${fleet} has its records.`)
  expect(JSON.parse((await provost(['recover', '--json'], [whole])).stdout)).toEqual(whole.body)
})
