import { ProvostError } from '#shared/errors.ts'
import { faultNamedIn } from '../../programs/host-faults.ts'
import { waitUntil } from '../../wait-until.ts'
import type { FreebsdHost } from '../freebsd-host.ts'

/** Returns a property of a dataset or snapshot; undefined when that does not exist. */
export async function zfsProperty(
  host: Pick<FreebsdHost, 'run'>,
  dataset: string,
  property: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const args = ['get', '-H', '-o', 'value', property, dataset]
  const { exitCode, stdout, stderr } = await host.run('zfs', args, { okExitCodes: [1], signal })
  if (exitCode === 0) return stdout.trim()
  if (isAbsent(stderr)) return undefined
  throw failed(`zfs ${args.join(' ')}`, exitCode, stderr)
}

/** Returns the datasets right below another. */
export async function datasetsBelow(host: FreebsdHost, dataset: string): Promise<string[]> {
  const { stdout } = await host.run('zfs', ['list', '-H', '-d', '1', '-t', 'filesystem', '-o', 'name', dataset])
  return stdout.split('\n').filter((name) => name.startsWith(`${dataset}/`))
}

/**
 * Destroys a dataset and its own snapshots, never what was cloned from it (-R, zfs-destroy(8)), and never by removing
 * files. Right after a stop it is often still busy. @throws ProvostError `resource_busy`
 */
export async function destroyDataset(host: FreebsdHost, dataset: string, signal?: AbortSignal): Promise<void> {
  await whileBusy(host, dataset, signal, () => isDestroyed(host, dataset, signal))
}

/** Tries once to destroy a dataset and its own snapshots. Returns false while it is busy. */
export async function isDestroyed(host: FreebsdHost, dataset: string, signal?: AbortSignal): Promise<boolean> {
  const { exitCode, stderr } = await host.run('zfs', ['destroy', '-r', dataset], { okExitCodes: [1], signal })
  if (exitCode === 0 || isAbsent(stderr)) return true
  if (isBusy(stderr)) return false
  throw failed(`zfs destroy -r ${dataset}`, exitCode, stderr)
}

/** Asks zfs(8) what a destroy would do: -n changes nothing. @throws ProvostError `resource_busy` when there are clones */
export async function requireNoClones(host: FreebsdHost, dataset: string): Promise<void> {
  const { exitCode, stderr } = await host.run('zfs', ['destroy', '-n', '-r', dataset], { okExitCodes: [1] })
  if (exitCode === 0) return
  if (/dependent clones/.test(stderr))
    throw new ProvostError('resource_busy', `The dataset ${dataset} is not destroyed: ${stderr.trim()}`)
  throw failed(`zfs destroy -n -r ${dataset}`, exitCode, stderr)
}

/**
 * Makes a dataset, by `zfs create` or `zfs clone`. zfs(8) exits with 0 also where it could not mount what it made, as on a full pool,
 * which has no room for the directory that it is mounted on.
 * @throws ProvostError `disk_full`, `command_failed`; the dataset may be there all the same.
 */
export async function makeDataset(
  host: FreebsdHost,
  args: ['create' | 'clone', ...string[]],
  signal?: AbortSignal,
): Promise<void> {
  const { stderr } = await host.run('zfs', args, { signal })
  const fault = whyNotMounted(`zfs ${args.join(' ')}`, stderr)
  if (fault) throw fault
}

/**
 * Renames a dataset, which is unmounted for that, so it must not be in use: zfs-rename(8). Returns why it could not be mounted at its new
 * place, undefined when it is.
 */
export async function renameDataset(host: FreebsdHost, from: string, to: string): Promise<ProvostError | undefined> {
  let fault: ProvostError | undefined
  await whileBusy(host, from, undefined, async () => {
    const command = `zfs rename ${from} ${to}`
    const { exitCode, stderr } = await host.run('zfs', ['rename', from, to], { okExitCodes: [1] })
    fault = whyNotMounted(command, stderr)
    if (exitCode === 0) return true
    if (isBusy(stderr)) return false
    throw failed(command, exitCode, stderr)
  })
  return fault
}

/** Tries again while `attempt` returns false, with a wait that doubles each time. @throws ProvostError `resource_busy` */
async function whileBusy(
  { patience }: FreebsdHost,
  dataset: string,
  signal: AbortSignal | undefined,
  attempt: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + patience.busy
  let pauseMs = patience.poll
  while (!(await attempt())) {
    if (performance.now() > deadline) throw new ProvostError('resource_busy', `The dataset ${dataset} is busy.`)
    const until = performance.now() + pauseMs
    await waitUntil(() => performance.now() >= until, pauseMs * 2, signal, pauseMs)
    pauseMs *= 2
  }
}

function isBusy(stderr: string): boolean {
  return /dataset is busy|pool or dataset is busy|Device busy/.test(stderr)
}

function isAbsent(stderr: string): boolean {
  return /does not exist/.test(stderr)
}

/** Whether zfs(8) says that it did all but mount: no failure to `create`, `clone` and `rename`. */
function whyNotMounted(command: string, stderr: string): ProvostError | undefined {
  return /^cannot mount /m.test(stderr) ? failed(command, 0, stderr) : undefined
}

function failed(command: string, exitCode: number, stderr: string): ProvostError {
  return new ProvostError(faultNamedIn(stderr) ?? 'command_failed', stderr.trim(), { command, exitCode, logTail: stderr })
}
