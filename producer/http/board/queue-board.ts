import { createBullBoard } from '@bull-board/api'
import { FastifyAdapter } from '@bull-board/fastify'
import { Queue } from 'bullmq'
import type { Logger } from 'pino'
import { queueKinds, queueName } from '#shared/redis/queues.ts'
import type { FleetHosts } from '../../placement/placement-host.ts'
import type { Store } from '../../records/store.ts'
import type { PublicUrl } from '../public-url.ts'
import { hostsToShow } from './hosts-to-show.ts'
import { QueueAdapter } from './queue-adapter.ts'

type Deps = Store & { hosts: Pick<FleetHosts, 'all' | 'get'>; log: Logger; publicUrl: PublicUrl }

/** The board makes some 16 calls for every queue that it has, every 5 seconds. */
const shownHosts = 50
/** How long a host's queues stay after they were last wanted, so that an open page does not lose them. */
const keptMs = 60_000

/**
 * Makes a bull-board of the queues of all hosts. In a fleet of more than 50 hosts it shows those with the most recent failures,
 * then those with the most open operations; the queues of any other host are added when a request names one of them.
 */
export function makeQueueBoard({ redis, keys, hosts, log, publicUrl }: Deps, path: string) {
  const server = new FastifyAdapter().setBasePath(`${publicUrl.path}${path}`)
  const board = createBullBoard({
    queues: [],
    serverAdapter: server,
    options: {
      uiConfig: {
        boardTitle: 'Provost queues',
        miscLinks: [{ text: 'Log out', url: `${publicUrl.path}/logout` }],
        hideDocsLink: true,
        hideRedisDetails: true,
        showWorkers: false,
        sortQueues: true,
      },
    },
  })
  const queues = new Map<string, Queue>()
  const wantedAt = new Map<string, number>()

  function addHost(host: string): void {
    for (const kind of queueKinds) {
      const name = queueName(host, kind)
      const queue = new Queue(name, {
        connection: redis,
        prefix: keys.host(host),
        skipMetasUpdate: true,
        skipVersionCheck: true,
        skipWaitingForReady: true,
      })
      // Errors of the connection are logged where it was opened.
      queue.on('error', (error) => log.debug({ err: error, queue: name }, 'queue'))
      queues.set(name, queue)
      board.addQueue(new QueueAdapter(queue, { delimiter: '.', readOnlyMode: true, externalJobUrl: logOf }))
    }
  }

  /** The log of a host's steps belongs to the operation, not to the job. */
  function logOf({ data }: { data?: { operation?: string } }): { displayText: string; href: string } {
    return { displayText: 'Log of the operation', href: `${publicUrl.path}/v1/operations/${data?.operation}/log` }
  }

  /** Takes its queues off the board before they are closed, so that the host may be added again meanwhile. */
  async function removeHost(host: string): Promise<void> {
    wantedAt.delete(host)
    const closing = queueKinds.map((kind) => {
      const name = queueName(host, kind)
      const queue = queues.get(name)
      queues.delete(name)
      board.removeQueue(name)
      return queue?.close()
    })
    await Promise.all(closing)
  }

  return {
    plugin: server.registerPlugin(),

    queue: (name: string): Queue | undefined => queues.get(name),

    /** Updates the queues of the board to the hosts as they are now; `named`: the queue that a request names. */
    async refresh(named: string | undefined): Promise<void> {
      const now = performance.now()
      const wanted = new Set(await hostsToShow({ redis, keys, hosts }, shownHosts))
      const host = named?.slice(0, named.lastIndexOf('.'))
      if (host && hosts.get(host)) wanted.add(host)
      for (const id of wanted) {
        if (!wantedAt.has(id)) addHost(id)
        wantedAt.set(id, now)
      }
      for (const [id, at] of wantedAt) if (!hosts.get(id) || now - at > keptMs) await removeHost(id)
    },

    async close(): Promise<void> {
      await Promise.all([...wantedAt.keys()].map(removeHost))
    },
  }
}
