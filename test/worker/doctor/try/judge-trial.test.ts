import { expect, it } from 'vitest'
import { judgeTrial } from '../../../../worker/doctor/try/judge-trial.ts'
import { runChecks } from '../../../../worker/host/checks/check-result.ts'

const MiB = 1024 ** 2
const limits = { memory: 64 * MiB, cpu: 0.25, processes: 20, disk: 32 * MiB }

/** What trial.sh prints on a host that keeps its promises. */
const kept = [
  ...['rename', 'mount', 'signal', 'device', 'disk'].map((name) => `trial ${name} refused`),
  'trial cpu',
  '0m0.990s 0m0.010s',
  '0m0.000s 0m0.000s',
  `trial memory ${16 * MiB}`,
  `trial memory ${32 * MiB}`,
  'Killed',
  ...Array.from({ length: 18 }, (_, i) => `trial processes ${i + 1}`),
  'trial end',
].join('\n')

const failedOf = async (printed: string) =>
  (await runChecks(judgeTrial(printed, { limits }))).filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`)

it('finds nothing where each limit held and each attempt was refused', async () => {
  expect(await failedOf(kept)).toEqual([])
})

it.each([
  ['trial mount refused', 'trial mount done', 'tried: mount: A jail can mount a file system.'],
  ['trial device refused', 'trial device done', 'tried: device: A jail can read a device that it made.'],
  ['trial disk refused', 'trial disk done', 'tried: disk: A jail could write more than 32M.'],
  [`trial memory ${32 * MiB}`, `trial memory ${64 * MiB}`, 'tried: memory: A jail with a limit of 64M held 64M.'],
  ['trial processes 18', 'trial processes 20', 'tried: processes: A jail with a limit of 20 processes had 20 processes.'],
  ['0m0.990s 0m0.010s', '0m3.500s 0m0.100s', 'tried: cpu: A busy jail that may have 0.25 of a core got 3.60 s of CPU in 4 s.'],
])('where it prints not %j but %j, finds what does not hold', async (line, other, fault) => {
  expect(await failedOf(kept.replace(line, other))).toEqual([fault])
})

it('takes nothing for granted that a trial did not come to', async () => {
  const cut = kept.slice(0, kept.indexOf('trial cpu'))
  expect(await failedOf(cut)).toEqual(
    ['memory', 'processes', 'cpu'].map((name) => `tried: ${name}: The trial ended before it came to that.`),
  )
})
