import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import type { Logger } from 'pino'
import { Drift, Leftover } from '#shared/host.ts'
import { backgroundWork } from '#shared/process/repeat.ts'
import { type RetryPolicy, stepRetry } from '#shared/process/retry-policy.ts'
import type { Service } from '#shared/process/run-service.ts'
import { makeServices, type Services } from '#shared/process/services.ts'
import { connectRedis, waitForEver, waitUnlessAway } from '#shared/redis/connect-redis.ts'
import { askTime, fleetTimeMs, mostOffMs } from '#shared/redis/fleet-clock.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { untilRedisAnswers } from '#shared/redis/until-redis-answers.ts'
import type { WorkerConfig } from './config/config.ts'
import { compareAll, compareJail } from './fleet/compare-records.ts'
import { followFleet } from './fleet/follow-fleet.ts'
import { followRoot } from './fleet/follow-root.ts'
import { undoProvisions } from './fleet/undo-provisions.ts'
import { lockHost } from './host/files/lock-host.ts'
import type { HostRuntime } from './host/host-runtime.ts'
import type { RunCommand } from './host/programs/run-command.ts'
import { answerConsole } from './jails/answer-console.ts'
import { makeJailLocks } from './jails/jail-locks.ts'
import { reportJail } from './jails/report-jail.ts'
import { retryLeftovers } from './jails/retry-leftovers.ts'
import { reviveJails, settledJails } from './jails/revive-jails.ts'
import { trimConsoles } from './jails/trim-consoles.ts'
import { watchDrift } from './jails/watch-drift.ts'
import { type Consumer, consumeJobs } from './jobs/consume-jobs.ts'
import { followNotices } from './jobs/follow-notices.ts'
import { makePrecedence } from './jobs/precedence.ts'
import { readLoad } from './jobs/read-load.ts'
import { refuseUnreadable } from './jobs/refuse-unreadable.ts'
import { makeRunFill } from './jobs/run-fill.ts'
import { type JobDeps, runJob } from './jobs/run-job.ts'
import { type JournalFiles, journalFiles } from './journal/file.ts'
import { openJournal } from './journal/journal.ts'
import { makeSpareRoom } from './journal/spare-room.ts'
import { openOperationLog } from './plans/operation-log.ts'
import { knownPlans } from './plans/plans.ts'
import { bindOperation, readRecorded } from './plans/read-record.ts'
import type { RunDeps } from './plans/run.ts'
import { Pause } from './plans/steps/pause.ts'
import { countPasses } from './reports/count-passes.ts'
import { makeHostNotes } from './reports/host-notes.ts'
import { openPresence } from './reports/presence.ts'
import { makeHostReporter } from './reports/report-host.ts'
import { openReportStream } from './reports/report-stream.ts'
import { makeTimings } from './reports/timings.ts'
import { watchDisk } from './reports/watch-disk.ts'
import { openFillKills } from './worlds/fill-kills.ts'
import { makeWorldStore } from './worlds/make-world-store.ts'
import { makeRemoveUnusedWorlds } from './worlds/remove-unused-worlds.ts'

/** `plans`: the plan versions that the worker knows. `amend`: changes what runs work with, for tests that plant faults. */
type Parts = {
  host: HostRuntime
  run: RunCommand
  log: Logger
  retry?: RetryPolicy
  plans?: readonly number[]
  files?: JournalFiles
  amend?(deps: RunDeps): RunDeps
}

/** From how many of the latest operations a start reads how long steps took. */
const timedAtStart = 5_000
/** How long a step of a batch's operation waits for others at most, in milliseconds. */
const mostWaitMs = 1_000
/** How long a worker that stops waits for a Redis that is away, in milliseconds. */
const redisAwayMs = 3_000
const consolesEveryMs = 1_000
const unusedWorldsEveryMs = 600_000

/**
 * Makes this process the worker of its host: reads what is there, goes on with it, then takes jobs. The services that are
 * started here are stopped in reverse.
 */
export async function startWorker(config: WorkerConfig, parts: Parts): Promise<Service> {
  const { host, log } = parts
  const directory = await host.open()
  await lockHost(host, directory)
  await host.endPredecessor()
  const stopping = new AbortController()
  const connections = connect(config, log)
  const { redis } = connections
  const services = makeServices(log)

  async function endServices(): Promise<void> {
    await waitUnlessAway(redis, redisAwayMs, services.stop())
    for (const connection of Object.values(connections)) connection.disconnect()
  }

  try {
    const base = await openBase(config, parts, { ...connections, directory, services, stopping: stopping.signal })
    const local = await openHost(base)
    const fleet = await joinFleet(base, local)
    const watching = await watchHost(base, local, fleet)
    const consumer = await takeJobs(base, local, fleet, watching)
    log.info({ host: config.host }, 'worker is up')
    const failed = base.presence.lost.then((loss) => {
      log.error({ reason: loss.message }, 'this worker ends: its host has another one')
      stopping.abort()
      consumer()?.abandonProvisions(loss)
      return loss
    })
    return {
      failed,
      async stop() {
        stopping.abort()
        // At once: should this process be killed while a step still runs, that must not count against its operation.
        await local.journal.leaveRuns().catch((error) => log.warn({ err: error }, 'that runs were left could not be noted'))
        await endServices()
        const loss = base.presence.loss()
        if (loss) await undoProvisions(loss, { hostId: config.host, runDeps: fleet.runDeps, log })
      },
    }
  } catch (error) {
    stopping.abort()
    await endServices().catch(() => undefined)
    throw error
  }
}

type Connections = ReturnType<typeof connect>

/** A subscriber needs a connection of its own. */
function connect({ redisUrl }: WorkerConfig, log: Logger) {
  const open = () => {
    const connection = connectRedis(redisUrl, waitForEver)
    connection.on('error', (error) => log.warn({ err: error.message }, 'redis'))
    return connection
  }
  return { redis: open(), subscriber: open() }
}

type Opened = Connections & { directory: string; services: Services; stopping: AbortSignal }
type Base = Awaited<ReturnType<typeof openBase>>

/** Opens what all parts share. */
async function openBase(config: WorkerConfig, parts: Parts, opened: Opened) {
  const { host, run, log, plans = knownPlans, retry = stepRetry, files = journalFiles, amend = (deps) => deps } = parts
  const keys = redisKeys(config.redisPrefix)
  const passes = countPasses()
  const root = `${opened.directory}, inode ${(await stat(opened.directory)).ino}`
  const worker = `${root}, boot ${await host.bootId()}`
  const named = { key: keys.hostAlive(config.host), worker, lastsMs: config.timing.silence }
  const presence = openPresence(opened.redis, config.host, named)
  const base = {
    ...opened,
    ...{ config, hostId: config.host, timing: config.timing, host, run, log, plans, retry, files, amend, keys, root, presence },
    ...openReportStream(opened.redis, keys, presence),
    repeat: backgroundWork(log, passes.count).repeat,
    background: passes.totals,
    withJail: makeJailLocks(),
    operationLog: (operation: string) => openOperationLog(opened.redis, keys.log(config.host, operation)),
  }
  return { ...base, reporter: makeHostReporter(base) }
}

type Local = Awaited<ReturnType<typeof openHost>>

/** Opens what is on this host. Needs no Redis: after a reboot clients have their jails before the fleet has its queues. */
async function openHost(base: Base) {
  const { config, host, run, log, directory, files, reporter, sendOfJail } = base
  const journalDirectory = join(directory, 'journal')
  const worlds = makeWorldStore({
    worlds: config.worlds,
    host,
    run,
    fills: config.capacity.fills,
    kills: await openFillKills(join(journalDirectory, 'fills'), log),
    log,
    changed: reporter.changed,
  })
  await worlds.open()
  const journal = await openJournal(journalDirectory, log, files)
  const spare = makeSpareRoom(journalDirectory)
  const disk = watchDisk({ directory, spare, log, refusedForMs: base.timing.silence })
  const revived = reviveJails(settledJails(journal), { ...base, worlds, journal, send: sendOfJail })
  return { journalDirectory, worlds, journal, revived, spare, disk }
}

type Fleet = Awaited<ReturnType<typeof joinFleet>>

/** Takes this host's name in the fleet, and compares its jails with the fleet's records. */
async function joinFleet(base: Base, local: Local) {
  const { redis, keys, hostId, timing, services, stopping, repeat, reporter } = base
  const { journalDirectory, journal, revived } = local
  await base.presence.take(stopping)
  services.add(base.presence)
  const clockOffsetMs = await untilRedisAnswers(stopping, () => askTime(redis))
  // Not earlier: without Redis it is not known what time it is.
  if (Math.abs(clockOffsetMs) <= mostOffMs) await journal.dropOld(fleetTimeMs())
  services.add(reporter)
  const onChange = reporter.enrolAgain
  const root = services.add(await followRoot({ ...base, journalDirectory: join(journalDirectory, 'jails'), journal, onChange }))
  const drift = makeHostNotes(redis, keys.hostDrift(hostId), Drift)
  const leftoverNotes = makeHostNotes(redis, keys.hostLeftovers(hostId), Leftover)
  await Promise.all([drift.open(), leftoverNotes.open()])

  const precedence = makePrecedence(mostWaitMs)
  const runDeps = base.amend(runDepsOf(base, local, precedence.waitForOthers))
  const compareDeps = { ...base, drift, runDeps }
  const fleet = services.add(
    await followFleet({
      ...base,
      directory: journalDirectory,
      journal,
      revived,
      onLost: reporter.enrolAgain,
      async onKnown() {
        await Promise.all([drift.writeAgain(), leftoverNotes.writeAgain()])
        await comparing.now().catch(() => undefined)
        reporter.changed()
      },
    }),
  )
  // Not while the records are lost: none of the jails here would be known.
  const compare = async () => fleet.isStrange() || compareAll(compareDeps)
  const comparing = services.add(repeat('compare-records', timing.compare, compare))
  await fleet.lookNow().catch(() => undefined)
  // Before any job is taken: a jail that was moved away meanwhile may be anywhere else by now.
  await comparing.now().catch(() => undefined)
  return { drift, leftoverNotes, runDeps, compareDeps, fleet, precedence, root, compareNow: comparing.now }
}

function runDepsOf(base: Base, local: Local, waitForOthers: RunDeps['waitForOthers']): RunDeps {
  const { host, plans, withJail, send, stopping, retry } = base
  const { journal, worlds, spare, disk } = local
  const patiently = <T>(ask: () => Promise<T>) => untilRedisAnswers(stopping, ask)
  return {
    ...{ host, worlds, journal, plans, withJail, waitForOthers, send, stopping, retry },
    withSuspect: pLimit(1),
    diskFull({ kind }) {
      disk.refused()
      return (kind === 'stop' || kind === 'destroy') && spare.giveUp()
    },
    deliver: (report) => patiently(() => send(report)),
    recorded: (job) => patiently(() => readRecorded(base, job)),
    bind: (job) => patiently(() => bindOperation(base, job)),
  }
}

type Watching = Awaited<ReturnType<typeof watchHost>>

/** Starts the background work on what this host has. */
async function watchHost(base: Base, { journal, worlds, revived, disk }: Local, { drift, leftoverNotes, fleet }: Fleet) {
  const { config, host, log, redis, keys, timing, services, repeat, sendOfJail } = base
  const timings = services.add(
    makeTimings({ write: (now) => redis.set(keys.hostTimings(config.host), JSON.stringify(now)), log }),
  )
  for await (const report of journal.latestReports(timedAtStart)) timings.note(report)
  const delays = { firstMs: timing.leftoversFirst, mostMs: timing.leftoversMost }
  const leftovers = services.add(retryLeftovers({ ...base, journal, notes: leftoverNotes, delays }))
  services.add(watchDrift({ ...base, journal, drift, revived, fleet: fleet.known, send: sendOfJail, everyMs: timing.drift }))
  services.add(repeat('watch-disk', timing.heartbeat, disk.look))
  await disk.look().catch((error) => log.warn({ err: error }, 'how full the disk is could not be read'))
  const usedWorlds = () => journal.jails().map(({ spec }) => ({ name: spec.world, digest: spec.worldDigest }))
  const removeUnusedWorlds = makeRemoveUnusedWorlds({ worlds, used: usedWorlds, log })
  services.add(repeat('look-at-worlds', timing.heartbeat, async () => worlds.look()))
  services.add(repeat('remove-unused-worlds', unusedWorldsEveryMs, removeUnusedWorlds))
  const consoles = () => journal.jails().map(({ spec }) => host.consoleOf(spec))
  services.add(repeat('trim-consoles', consolesEveryMs, () => trimConsoles(consoles(), log)))
  return { timings, leftovers }
}

/** Enrols this host, and takes its jobs and notices: at once, or when its root is the fleet's. Returns the consumer once there is one. */
async function takeJobs(base: Base, local: Local, joined: Fleet, watching: Watching): Promise<() => Consumer | undefined> {
  const { config, keys, services, reporter } = base
  const { journal, worlds, disk } = local
  const { drift, leftoverNotes, fleet, root } = joined
  let consumer: Consumer | undefined
  async function begin(): Promise<void> {
    const begun = await consume(base, local, joined, watching)
    consumer = begun
    // Together: jobs that were taken while fills end would only be put back.
    services.add({ name: 'jobs', stop: () => Promise.all([worlds.close(), begun.stop()]) })
    await followNotices({
      ...base,
      channel: keys.notices(config.host),
      consumer: begun,
      retryLeftovers: watching.leftovers.tryAll,
      answerConsole: (notice) => answerConsole(notice, { ...base, journal }),
    })
  }
  if (!root.unfit()) await begin()
  await reporter.begin({
    worlds,
    drift: () => drift.entries().size,
    leftovers: () => leftoverNotes.entries().size,
    disk: disk.now,
    fleet: fleet.known,
    epoch: journal.highestEpoch,
    unfit: root.unfit,
    load: () => readLoad({ worlds, running: (name) => consumer?.running(name) ?? 0, journal }),
  })
  if (consumer) worlds.prefill()
  else beginLater(base, joined, begin, worlds)
  return () => consumer
}

/** Takes no jobs before the fleet's jails are on this host's root, or are given up. */
function beginLater(
  { log, stopping }: Base,
  { root, compareNow }: Fleet,
  begin: () => Promise<void>,
  worlds: Local['worlds'],
): void {
  void root.accepted
    .then(async () => {
      if (stopping.aborted) return
      await compareNow()
      await begin()
      worlds.prefill()
    })
    .catch((error) => log.fatal({ err: error }, 'jobs cannot be taken: start this worker again'))
}

function consume(base: Base, { journal, worlds }: Local, joined: Fleet, { timings, leftovers }: Watching) {
  const { config, hostId, keys, log, send, sendOfJail, stopping, operationLog, timing } = base
  const { drift, runDeps, compareDeps, fleet, precedence, root } = joined
  const { builds, starts } = config.capacity
  const jobDeps: JobDeps = {
    runDeps,
    first: precedence.first,
    runFill: makeRunFill({ worlds, send, recorded: runDeps.recorded, stopping }),
    timings,
    ended({ jail, jailState }) {
      if (jailState === 'unchanged')
        reportJail(jail, { ...base, journal, send: sendOfJail }).catch((error) =>
          log.error({ err: error, jail }, 'how a jail is could not be reported'),
        )
      if (drift.entries().has(jail)) void compareJail(jail, compareDeps)
      void leftovers.lookNow()
    },
  }
  return consumeJobs({
    ...base,
    prefix: keys.host(hostId),
    slots: { build: builds, start: starts, stop: Math.max(2, starts) },
    recorded: runDeps.recorded,
    refuseUnreadable: (data, fault) => refuseUnreadable(data, fault, { hostId, runDeps, send, operationLog }),
    async run(...args) {
      const [unfit] = await Promise.all([root.unfitNow(), fleet.learn()])
      if (unfit) return { type: 'paused', pause: new Pause(unfit, { delayMs: timing.heartbeat }) }
      return runJob(...args, jobDeps)
    },
  })
}
