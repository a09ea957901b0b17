import type { JailSpec } from '#shared/job.ts'
import { formatBytes } from '#shared/size.ts'
import { fault, fine, type NamedCheck } from '../../host/checks/check-result.ts'

/** What a trial jail may do at most beyond what it is asked to keep to, so that a host without limits is not harmed. */
export const beyond = 4
export const busySeconds = 4
/** The scheduler gives a busy jail its share in pieces, and a jail that was idle a little ahead. */
const cpuSlack = 1.5

const attempts: Record<string, string> = {
  rename: 'give itself another host name',
  mount: 'mount a file system',
  signal: 'signal a process of the host',
  device: 'read a device that it made',
}

/** Returns a check for each thing that a trial jail tried. `printed`: what it has printed (`trial.sh`). */
export function judgeTrial(printed: string, { limits }: Pick<JailSpec, 'limits'>): NamedCheck[] {
  const said = (name: string) =>
    [...printed.matchAll(new RegExp(`^trial ${name} (\\S+)$`, 'gm'))].flatMap(([, result]) => result ?? [])
  const most = (name: string) => Math.max(0, ...said(name).map(Number))
  return [
    ...Object.entries(attempts).map(([name, deed]): NamedCheck => [`tried: ${name}`, () => judgeAttempt(deed, said(name)[0])]),
    ['tried: memory', () => judgeAmount('held', most('memory'), limits.memory, formatBytes)],
    ['tried: processes', () => judgeAmount('had', most('processes'), limits.processes, (count) => `${count} processes`)],
    ['tried: cpu', () => judgeCpu(printed, limits.cpu)],
    ...(limits.disk === undefined ? [] : [judgeDisk(said('disk')[0], limits.disk)]),
  ]
}

const untold = () =>
  fault('The trial ended before it came to that.', 'Try again when the host has less to do: what does not hold is not known.')

function judgeAttempt(deed: string, result: string | undefined) {
  if (result === undefined) return untold()
  if (result === 'refused') return fine(`A jail cannot ${deed}.`)
  return fault(`A jail can ${deed}.`, 'Take no jails on this host before it is known why.')
}

function judgeAmount(verb: string, amount: number, limit: number, format: (amount: number) => string) {
  if (amount === 0) return untold()
  if (amount < limit) return fine(`A jail that went on asking ${verb} ${format(amount)}, of ${format(limit)}, and got no more.`)
  return fault(
    `A jail with a limit of ${format(limit)} ${verb} ${format(amount)}.`,
    'This limit does not hold here: see limits in docs/operate.md, and take no jails on this host before it does.',
  )
}

function judgeCpu(printed: string, cores: number) {
  const times = /^trial cpu\n(\d+)m([\d.]+)s (\d+)m([\d.]+)s$/m.exec(printed)
  if (!times) return untold()
  const [userMin = 0, user = 0, systemMin = 0, system = 0] = times.slice(1).map(Number)
  const used = (userMin + systemMin) * 60 + user + system
  const share = `${used.toFixed(2)} s of CPU in ${busySeconds} s`
  if (used <= busySeconds * cores * cpuSlack) return fine(`A busy jail got ${share}, of ${busySeconds * cores}.`)
  return fault(`A busy jail that may have ${cores} of a core got ${share}.`, 'The limit of CPU does not hold here.')
}

function judgeDisk(result: string | undefined, limit: number): NamedCheck {
  return [
    'tried: disk',
    () => {
      if (result === undefined) return untold()
      if (result === 'refused') return fine(`A jail could not write more than ${formatBytes(limit)}.`)
      return fault(`A jail could write more than ${formatBytes(limit)}.`, 'The disk limit does not hold here.')
    },
  ]
}
