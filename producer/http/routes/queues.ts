import type { FastifyPluginAsync, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { ProvostError } from '#shared/errors.ts'
import { retryOperation } from '../../operations/operate.ts'
import { callerOf, isRead } from '../access/access.ts'
import { answerOperation } from '../answers/answer-operation.ts'
import type { AppDeps } from '../app-deps.ts'
import { makeQueueBoard } from '../board/queue-board.ts'
import { answerError } from '../http-errors.ts'

const path = '/queues'
const contentSecurityPolicy =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'"

type Params = { queueName: string; jobId: string; queueStatus: string }

/**
 * Serves bull-board. The only write that it may do is a retry, which becomes a retry of the operation: BullMQ's own retry would
 * run half of a flow. Every other write that it has, or may get, is refused.
 */
export const queueRoutes =
  (deps: AppDeps): FastifyPluginAsync =>
  async (app) => {
    const { records, awaitReplica } = deps
    const board = makeQueueBoard(deps, path)

    const retryJob: RouteHandlerMethod = async (request, reply) => {
      const { queueName, jobId } = request.params as Params
      const job = await board.queue(queueName)?.getJob(jobId)
      if (!job) throw new ProvostError('not_found', `There is no job ${jobId} in queue ${queueName}.`)
      return answerOperation(deps, request, reply, (idempotency) => retryOperation(deps, job.data.operation, idempotency))
    }

    /** The job of a cancelled operation has failed, too, but is not retried with the rest: somebody wanted it to end. */
    const retryAll: RouteHandlerMethod = async (request) => {
      const { queueName, queueStatus } = request.params as Params
      if (queueStatus !== 'failed') throw refusal(`Only failed jobs can be retried, not ${queueStatus} ones.`)
      const jobs = (await board.queue(queueName)?.getFailed()) ?? []
      const ids = new Set(jobs.map((job) => String(job.data.operation)))
      const operations = await records.operations([...ids])
      let retried = 0
      for (const { id, status } of operations) if (status === 'failed' && (await isRetried(id))) retried += 1
      if (retried === 0)
        throw new ProvostError(
          'not_retryable',
          `None of the operations that once failed in ${queueName} is the last of its jail and failed.`,
        )
      return { retried }
    }

    async function isRetried(id: string): Promise<boolean> {
      try {
        await retryOperation(deps, id)
        return true
      } catch (error) {
        if (error instanceof ProvostError && error.code !== 'queue_unavailable') return false
        throw error
      }
    }

    const writes: Record<string, RouteHandlerMethod> = {
      [`PUT ${path}/api/queues/:queueName/:jobId/retry`]: retryJob,
      [`PUT ${path}/api/queues/:queueName/retry/:queueStatus`]: retryAll,
    }

    app.addHook('onRoute', (route) => {
      route.errorHandler = answerError
      const methods = [route.method].flat()
      if (!methods.every(isRead)) route.handler = writes[`${methods} ${route.url}`] ?? refuseWrite
    })
    app.addHook('onRequest', async (request, reply) => {
      try {
        request.caller = await callerOf(request, deps)
      } catch (error) {
        if (!wantsPage(request)) throw error
        return reply.redirect(`/login?to=${encodeURIComponent(request.url).replaceAll('%2F', '/')}`)
      }
    })
    app.addHook('preHandler', async (request) => {
      const { queueName } = request.params as Partial<Params>
      const { activeQueue } = request.query as { activeQueue?: string }
      if (!request.url.startsWith(`${path}/api/`)) return
      deps.recovery.openFleet()
      await board.refresh(queueName ?? activeQueue)
    })
    app.addHook('preSerialization', async (request, reply, payload) => {
      // Queues that were lost meanwhile must not seem to be empty.
      if (request.url.startsWith(`${path}/api/`) && reply.statusCode !== 503) await deps.recovery.assertNotLost()
      return payload
    })
    if (awaitReplica) app.addHook('preSerialization', awaitReplica)
    app.addHook('preSerialization', showProblem)
    app.addHook('preSerialization', offerRetries)
    app.addHook('onSend', changePage)
    app.addHook('onClose', board.close)
    await app.register(board.plugin, { prefix: path })
  }

async function refuseWrite(): Promise<never> {
  throw refusal('Jobs cannot be changed here: they only wake a host, and what is done is for the operation to say.')
}

function refusal(message: string): ProvostError {
  return new ProvostError('forbidden', message, {
    hint: 'Retry a failed job here; cancel an operation, destroy a jail or drain a host through the API or provost(8).',
  })
}

function wantsPage({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html')
}

/** The board shows the fields `error` and `message` of an answer. */
async function showProblem(_request: FastifyRequest, _reply: FastifyReply, payload: unknown): Promise<unknown> {
  const isProblem = typeof payload === 'object' && payload !== null && 'detail' in payload && 'code' in payload
  return isProblem ? { ...payload, error: payload.detail, message: 'hint' in payload ? payload.hint : '' } : payload
}

/**
 * A queue is read-only for the board, which then shows no button at all. That whose jobs it shows gets its buttons: the page hides all
 * but Retry (`refusedButtons`).
 */
async function offerRetries(request: FastifyRequest, _reply: FastifyReply, payload: unknown): Promise<unknown> {
  const { activeQueue } = request.query as { activeQueue?: string }
  const { queues } = payload as { queues?: { name: string }[] }
  if (activeQueue === undefined || !Array.isArray(queues)) return payload
  const offered = { readOnlyMode: false, allowRetries: true, allowCompletedRetries: false }
  return { queues: queues.map((queue) => (queue.name === activeQueue ? { ...queue, ...offered } : queue)) }
}

/** The buttons of the board whose writes are refused. Its classes end with a hash of its version, its icons are named. */
const refusedButtons = `<style>
[class^="jobActions-"] > li:not(:has(.lucide-refresh-cw)), [class^="queueActions-"] > li:not(:has(.lucide-refresh-cw)),
[class^="trailing-"] > [class^="trigger-"], [class^="editButton-"], [class^="badgeWrap-"] button { display: none !important }
</style>`

/** The page of the board loads a font from Google: that link is removed, and nothing may be loaded from another site. */
async function changePage(_request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
  reply.header('content-security-policy', contentSecurityPolicy)
  const isPage = typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html')
  return isPage ? payload.replaceAll(/<link [^>]*https:[^>]*>/g, '').replace('</head>', `${refusedButtons}</head>`) : payload
}
