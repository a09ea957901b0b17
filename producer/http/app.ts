import { fastifySSE } from '@fastify/sse'
import fastifySwagger from '@fastify/swagger'
import scalar from '@scalar/fastify-api-reference'
import { fastify, LogController } from 'fastify'
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { ChangeBatch } from '../batches/change-batch.ts'
import type { AcceptBatch } from '../batches/intake/accept-batch.ts'
import type { Forgotten } from '../hosts/forget-host.ts'
import type { HostRegistry } from '../hosts/host-registry.ts'
import type { Orphans } from '../hosts/orphans.ts'
import type { Operate } from '../operations/operate.ts'
import type { Explain } from '../queues/explain-wait.ts'
import type { EventFeed } from '../records/event-feed.ts'
import type { Records } from '../records/records.ts'
import type { Recovery } from '../recovery/recovery.ts'
import type { Metrics } from '../reports/metrics.ts'
import { type Caller, isRead, makeAccess } from './access/access.ts'
import { makeSessions, sessionCookie } from './access/session.ts'
import type { AwaitReplica } from './await-replica.ts'
import { answerBrokenRequest, answerError, answerNotFound } from './http-errors.ts'
import { NoBody, NoQuery, readBodies } from './read-body.ts'
import { batchRoutes } from './routes/batches.ts'
import { createBatchRoute } from './routes/create-batch.ts'
import { eventRoutes } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { hostRoutes } from './routes/hosts.ts'
import { jailRoutes } from './routes/jails.ts'
import { loginRoutes } from './routes/login.ts'
import { metricsRoutes } from './routes/metrics.ts'
import { operationRoutes } from './routes/operations.ts'
import { queueRoutes } from './routes/queues.ts'
import { recoverRoutes } from './routes/recover.ts'

export type AppDeps = {
  redis: Redis
  keys: RedisKeys
  records: Records
  operate: Operate
  batches: AcceptBatch
  changeBatch: ChangeBatch
  orphans: Orphans
  forgetHost(host: string, poweredOff: boolean): Promise<Forgotten>
  explain: Explain
  metrics: Metrics
  hosts: HostRegistry
  recovery: Recovery
  feed: EventFeed
  apiKey: string
  log: Logger
  /** Keeps a yes back until a replica has it; with Sentinel only. */
  awaitReplica: AwaitReplica | undefined
  /** Says that a host changed. */
  announceHost(id: string): void
}

export type App = ReturnType<typeof newApp>

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

const bodyLimitBytes = 1024 * 1024
const heartbeatMs = 15_000
/** What may be asked for while records are being rebuilt. */
const inRecovery = new Set(['/v1/recover', '/v1/hosts/:id/forget', '/v1/hosts/:id/drain', '/v1/hosts/:id/undrain'])

/** The HTTP service, with everything it needs given; opens nothing itself. */
export async function buildApp(deps: AppDeps): Promise<App> {
  const app = newApp(deps.log)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(answerNotFound)
  readBodies(app)

  await app.register(fastifySSE, { heartbeatInterval: heartbeatMs })
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Provost', version: '1', description: 'Provisions FreeBSD jails across a fleet of hosts, from a queue.' },
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: sessionCookie },
        },
      },
      security: [{ key: [] }, { session: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
  await app.register(scalar, {
    routePrefix: '/docs',
    // The reference alone: nothing on the page that asks or tells anybody outside.
    configuration: {
      url: '/openapi.json',
      showDeveloperTools: 'never',
      hideClientButton: true,
      agent: { disabled: true },
      mcp: { disabled: true },
      telemetry: false,
    },
  })

  const sessions = makeSessions(deps.apiKey)
  const access = makeAccess(deps.apiKey, sessions)
  await app.register(healthRoutes(deps))
  await app.register(loginRoutes({ access, sessions }))
  await app.register(queueRoutes(deps, access))
  await app.register(async (guarded) => {
    guarded.addHook('onRequest', async (request) => {
      request.caller = access.callerOf(request)
    })
    guarded.addHook('preValidation', async ({ method, routeOptions }) => {
      const { url = '' } = routeOptions
      if (isRead(method) || inRecovery.has(url)) return
      deps.recovery.assertRebuilt()
      // An admission is refused by its script.
      if (url !== '/v1/jails') await deps.recovery.assertNotLost()
    })
    if (deps.awaitReplica) guarded.addHook('preSerialization', deps.awaitReplica)
    guarded.addHook('onRoute', (route) => {
      const hasBody = route.method === 'POST' || route.method === 'DELETE'
      route.schema = { querystring: NoQuery, ...(hasBody ? { body: NoBody } : {}), ...route.schema }
    })
    await guarded.register(jailRoutes(deps))
    await guarded.register(operationRoutes(deps))
    await guarded.register(createBatchRoute(deps))
    await guarded.register(eventRoutes(deps))
    await guarded.register(hostRoutes(deps))
    await guarded.register(batchRoutes(deps))
    await guarded.register(recoverRoutes(deps))
    await guarded.register(metricsRoutes(deps))
  })
  return app
}

function newApp(log: Logger) {
  const app = fastify({
    loggerInstance: log,
    bodyLimit: bodyLimitBytes,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: 'idle',
    frameworkErrors: answerError,
    clientErrorHandler: answerBrokenRequest,
  })
  return app.withTypeProvider<ZodTypeProvider>()
}
