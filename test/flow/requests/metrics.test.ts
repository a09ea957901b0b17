import { execa } from 'execa'
import { expect } from 'vitest'
import { findProgram } from '../../../worker/host/programs/run-command.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { until } from '../../support/until.ts'

test('the fleet is told in numbers, for those with a key', async ({ fleet }) => {
  await fleet.ended(await fleet.ask('web1'))
  await fleet.ended(await fleet.call('POST', '/v1/jails/web1/stop'))
  const text = await until('the ledger to be read', async () => {
    const answer = await fleet.call('GET', '/metrics')
    return answer.text.includes('provost_host_jails{host="host1"} 1\n') && answer.text
  })
  const lines = text.split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'provost_hosts{state="up"} 1',
      'provost_hosts{state="down"} 0',
      'provost_host_up{host="host1"} 1',
      'provost_host_promised_memory_bytes{host="host1"} 67108864',
      'provost_host_drifted_jails{host="host1"} 0',
      'provost_jails{state="stopped"} 1',
      'provost_jails{state="running"} 0',
      'provost_operations_open{status="running"} 0',
      'provost_operations_ended_total{kind="provision",status="succeeded"} 1',
      'provost_operations_ended_total{kind="stop",status="succeeded"} 1',
      'provost_operation_duration_seconds_count{kind="stop"} 1',
      'provost_leases 1',
      'provost_stray_leases 0',
    ]),
  )
  // Figures that only time makes: what both sides repeat has been done, and took some time.
  const amountOf = (series: string) => Number(lines.find((line) => line.startsWith(`${series} `))?.split(' ')[1])
  for (const work of ['read-hosts', 'add-missing-jobs', 'move-operations', 'run-batches']) {
    expect(amountOf(`provost_background_passes_total{work="${work}"}`), work).toBeGreaterThan(0)
    expect(amountOf(`provost_background_seconds_total{work="${work}"}`), work).toBeGreaterThan(0)
    expect(amountOf(`provost_background_failures_total{work="${work}"}`), work).toBe(0)
  }
  // As it was when the host enrolled.
  expect(amountOf('provost_host_background_passes_total{host="host1",work="follow-fleet"}')).toBeGreaterThan(0)
  expect(amountOf('provost_host_background_failures_total{host="host1",work="follow-fleet"}')).toBe(0)
  expect((await fetch(`${fleet.url}/metrics`)).status).toBe(401)
})

test('the names of figures say what they are: counters, and nothing else, end in _total', async ({ fleet }) => {
  const { text } = await fleet.call('GET', '/metrics')
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({ name, type }))
  expect(types.length).toBeGreaterThan(30)
  expect(types.filter(({ name, type }) => (type === 'counter') !== name.endsWith('_total'))).toEqual([])
})

test('promtool(1) has nothing to say of them', async ({ fleet, skip }) => {
  const promtool = findProgram('promtool', process.env['PATH'] ?? '')
  skip(!promtool, 'there is no promtool here: on Debian it is in the package prometheus')
  const { text } = await fleet.call('GET', '/metrics')
  const { exitCode, all } = await execa(promtool ?? '', ['check', 'metrics'], { input: text, all: true, reject: false })
  expect({ exitCode, all }).toEqual({ exitCode: 0, all: '' })
})
