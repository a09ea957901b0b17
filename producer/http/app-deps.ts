import type { HostRegistry } from '../hosts/host-registry.ts'
import type { AcceptDeps } from '../operations/decision.ts'
import type { MissingJobs } from '../queues/add-missing-jobs.ts'
import type { Explain } from '../queues/explain-wait.ts'
import type { EventFeed } from '../records/event-feed.ts'
import type { Writes } from '../records/watch-writes.ts'
import type { Recovery } from '../recovery/recovery.ts'
import type { Metrics } from '../reports/metrics.ts'
import type { AwaitReplica } from './answers/await-replica.ts'
import type { PublicUrl } from './public-url.ts'

/** What the routes need: the store, what makes operations, and what is known beside the records. */
export type AppDeps = AcceptDeps & {
  hosts: HostRegistry
  explain: Explain
  metrics: Metrics
  recovery: Recovery
  writes: Writes
  missingJobs: Pick<MissingJobs, 'reasons'>
  feed: EventFeed
  apiKey: string
  publicUrl: PublicUrl
  /** Delays the answer to a write until a replica has it; only with Sentinel. */
  awaitReplica: AwaitReplica | undefined
}
