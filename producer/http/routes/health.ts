import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { AppDeps } from '../app-deps.ts'
import { checkRedis } from '../check-redis.ts'

const Health = z.object({ status: z.literal('ok') })
const Readiness = z.object({
  status: z.enum(['ready', 'not_ready']),
  /** Why it is not ready. */
  reasons: z.array(z.string()),
  /** What cannot be checked, and so is left to whoever set it up. */
  warnings: z.array(z.string()),
})

export const healthRoutes =
  ({ redis, hosts, recovery, missingJobs, writes, publicUrl }: AppDeps): FastifyPluginAsyncZod =>
  async (app) => {
    const open = { security: [] }

    app.get('/healthz', { schema: { summary: 'Is this process alive?', ...open, response: { 200: Health } } }, async () => ({
      status: 'ok' as const,
    }))

    app.get(
      '/readyz',
      {
        schema: {
          summary: 'Can a jail be asked for, and will it be kept?',
          ...open,
          response: { 200: Readiness, 503: Readiness },
        },
      },
      async (_request, reply) => {
        // A Redis that does not answer at all is named by its faults.
        await writes.look().catch(() => undefined)
        const { faults, unseen: warnings } = await checkRedis(redis)
        const reasons = [
          ...faults,
          ...writes.reasons(),
          ...hosts.unready(),
          ...(await recovery.reasonsNow()),
          ...missingJobs.reasons(),
        ]
        const ready = reasons.length === 0
        return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready', reasons, warnings })
      },
    )

    // Where people reach it, or else as this caller does: otherwise the examples of the reference have no host in them.
    app.get('/openapi.json', { schema: { hide: true } }, async ({ host, headers, protocol }, reply) => {
      const forwarded = String(headers['x-forwarded-proto'] ?? protocol).startsWith('https') ? 'https' : 'http'
      const url = `${publicUrl.origin ?? `${forwarded}://${host}`}${publicUrl.path}`
      return reply.type('application/json; charset=utf-8').send(documentFor(url))
    })

    let written: Buffer | undefined
    /** All but where people reach it is written once: nobody needs a key to ask for it, however often. */
    function documentFor(url: string): Buffer {
      written ??= Buffer.from(JSON.stringify({ ...app.swagger(), servers: undefined }).slice(1))
      return Buffer.concat([Buffer.from(`{"servers":${JSON.stringify([{ url }])},`), written])
    }
  }
