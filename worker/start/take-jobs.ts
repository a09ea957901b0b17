import type { Job } from '#shared/job.ts'
import { compareJail } from '../fleet/compare-records.ts'
import { makeVerifyJob } from '../identity/verify-job.ts'
import { answerConsole } from '../jails/answer-console.ts'
import { reportJail } from '../jails/report-jail.ts'
import { type Consumer, consumeJobs } from '../jobs/consume-jobs.ts'
import { followNotices } from '../jobs/follow-notices.ts'
import { readLoad } from '../jobs/read-load.ts'
import { refuseUnreadable } from '../jobs/refuse-unreadable.ts'
import { makeRunFill } from '../jobs/run-fill.ts'
import { type JobDeps, runJob } from '../jobs/run-job.ts'
import { Pause } from '../plans/steps/pause.ts'
import type { Fleet } from './join-fleet.ts'
import type { Base } from './open-base.ts'
import type { Local } from './open-host.ts'
import type { Watching } from './watch-host.ts'

/** Enrols this host, and takes its jobs and notices: at once, or when its root is the fleet's. Returns the consumer once there is one. */
export async function takeJobs(base: Base, local: Local, joined: Fleet, watching: Watching): Promise<() => Consumer | undefined> {
  const { config, keys, services, reporter } = base
  const { journal, worlds, disk } = local
  const { drift, leftoverNotes, fleet, root } = joined
  let consumer: Consumer | undefined
  async function begin(): Promise<void> {
    const begun = await consume(base, local, joined, watching)
    consumer = begun
    // Together: jobs that were taken while fills end would only be put back.
    services.add({ name: 'jobs', stop: () => Promise.all([worlds.close(), begun.stop()]) })
    const notices = await followNotices({
      ...base,
      channel: keys.notices(config.host),
      consumer: begun,
      retryLeftovers: watching.leftovers.tryAll,
      answerConsole: (notice) => answerConsole(notice, { ...base, journal }),
    })
    services.add(notices)
  }
  if (!root.unfit()) await begin()
  await reporter.begin({
    worlds,
    drift: () => drift.entries().size,
    leftovers: () => leftoverNotes.entries().size,
    disk: disk.now,
    fleet: fleet.known,
    epoch: journal.highestEpoch,
    refused: base.refusals,
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
    verify: makeVerifyJob({ ...base, hasBegun: (job) => hasBegun(job, journal) }),
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

/** Whether the journal has this attempt as begun. */
function hasBegun(
  { operation, epoch, attempt }: Pick<Job, 'operation' | 'epoch' | 'attempt'>,
  journal: Local['journal'],
): boolean {
  return journal
    .jails()
    .some(({ current }) => current?.operation === operation && current.epoch === epoch && current.attempt === attempt)
}
