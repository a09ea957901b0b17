import helmet from '@fastify/helmet'
import { fastifySSE } from '@fastify/sse'
import fastifySwagger from '@fastify/swagger'
import scalar from '@scalar/fastify-api-reference'
import { type FastifyInstance, fastify, LogController, type RouteHandlerMethod, type RouteOptions } from 'fastify'
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import type { OpenAPIV3_1 } from 'openapi-types'
import type { Logger } from 'pino'
import { type Caller, callerOf, isRead } from './access/access.ts'
import { loginRoutes } from './access/login.ts'
import { sessionCookie } from './access/session.ts'
import type { AppDeps } from './app-deps.ts'
import { boundConnections, mostConnections } from './bound-connections.ts'
import { answerBrokenRequest, answerError, answerNotFound } from './http-errors.ts'
import { completeDocument } from './openapi/complete-document.ts'
import { hintBelow, ownUrl, type PublicUrl, pointBelow } from './public-url.ts'
import { NoBody, NoQuery, readBodies } from './requests/read-body.ts'
import { batchChangeRoutes, batchRoutes } from './routes/batches.ts'
import { createBatchRoutes } from './routes/create-batch.ts'
import { eventRoutes } from './routes/events.ts'
import { fleetRoutes } from './routes/fleet.ts'
import { healthRoutes } from './routes/health.ts'
import { homeRoute } from './routes/home.ts'
import { hostUpkeepRoutes } from './routes/host-upkeep.ts'
import { hostRoutes } from './routes/hosts.ts'
import { jailOperationRoutes, jailRoutes } from './routes/jails.ts'
import { invitationRoutes, joinRoutes } from './routes/join.ts'
import { operationChangeRoutes, operationRoutes } from './routes/operations.ts'
import { queueRoutes } from './routes/queues.ts'
import { worldRoutes } from './routes/worlds.ts'

type App = ReturnType<typeof newApp>

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

const bodyLimitBytes = 1024 * 1024
const heartbeatMs = 15_000
const requestTimeoutMs = 120_000
const docsPolicy =
  "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
/** Calls that are answered while records are being rebuilt. */
const inRecovery = new Set([
  '/metrics',
  '/v1/recover',
  '/v1/hosts/:id/forget',
  '/v1/hosts/:id/drain',
  '/v1/hosts/:id/undrain',
  '/v1/hosts/:id/invite',
])

/** Routes that require the key. */
const guardedRoutes = [
  jailRoutes,
  jailOperationRoutes,
  operationRoutes,
  operationChangeRoutes,
  createBatchRoutes,
  eventRoutes,
  hostRoutes,
  hostUpkeepRoutes,
  invitationRoutes,
  worldRoutes,
  batchRoutes,
  batchChangeRoutes,
  fleetRoutes,
]

/** Builds the HTTP service. Opens no connections. */
export async function buildApp(deps: AppDeps): Promise<App> {
  const app = newApp(deps.log, deps.publicUrl)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(answerNotFound)
  app.server.maxConnections = mostConnections
  app.addHook('onRequest', boundConnections())
  await app.register(helmet, {
    // Nothing but pages needs more, and each page says what.
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    // A browser that was told so over TLS would not reach a producer without it on the same name.
    hsts: deps.publicUrl.origin?.startsWith('https:') ?? false,
  })
  readBodies(app)
  app.addHook('onSend', pointBelow(deps.publicUrl))
  app.addHook('preSerialization', hintBelow(deps.publicUrl))

  await app.register(fastifySSE, { heartbeatInterval: heartbeatMs })
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Provost',
        version: '1',
        description: 'Provisions FreeBSD jails across a fleet of hosts, from a queue.',
        license: { name: 'BSD-2-Clause', identifier: 'BSD-2-Clause' },
      },
      servers: [{ url: deps.publicUrl.path || '/' }],
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: sessionCookie },
        },
      },
      security: [{ key: [] }, { session: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => completeDocument(jsonSchemaTransformObject(document) as OpenAPIV3_1.Document),
  })
  await app.register(docs(deps))

  await app.register(homeRoute())
  await app.register(healthRoutes(deps))
  await app.register(loginRoutes(deps))
  await app.register(joinRoutes(deps))
  await app.register(queueRoutes(deps))
  await app.register(async (guarded) => {
    guarded.addHook('onRequest', async (request) => {
      request.caller = await callerOf(request, deps)
    })
    guarded.addHook('preValidation', async ({ method, routeOptions }) => {
      const { url = '' } = routeOptions
      if (isRead(method)) return
      deps.writes.assertTaken()
      if (inRecovery.has(url)) return
      deps.recovery.assertRebuilt()
      // The script of an admission checks this by itself.
      if (url !== '/v1/jails') await deps.recovery.assertNotLost()
    })
    if (deps.awaitReplica) guarded.addHook('preSerialization', deps.awaitReplica)
    guarded.addHook('onRoute', (route) => {
      const hasBody = route.method === 'POST' || route.method === 'DELETE'
      route.schema = { querystring: NoQuery, ...(hasBody ? { body: NoBody } : {}), ...route.schema }
      // A stream looks by itself, for as long as it lasts.
      if (!inRecovery.has(route.url) && !('sse' in route)) route.handler = fromWholeRecords(route, deps.recovery)
    })
    for (const routes of guardedRoutes) await guarded.register(routes(deps))
  })
  return app
}

/** The reference of all calls, which has nothing from any other site, nor contacts one. */
const docs = ({ publicUrl }: AppDeps) =>
  async function docs(app: FastifyInstance): Promise<void> {
    app.addHook('onSend', async (_request, reply) => {
      reply.header('content-security-policy', docsPolicy)
    })
    await app.register(scalar, {
      routePrefix: '/docs',
      configuration: {
        url: `${publicUrl.path}/openapi.json`,
        pageTitle: 'Provost: every call',
        withDefaultFonts: false,
        showDeveloperTools: 'never',
        hideClientButton: true,
        agent: { disabled: true },
        mcp: { disabled: true },
        telemetry: false,
      },
    })
  }

/** Returns a handler that does not answer from records that were lost meanwhile. What a write has done is answered all the same. */
function fromWholeRecords({ method, handler }: RouteOptions, recovery: AppDeps['recovery']): RouteHandlerMethod {
  if ([method].flat().every(isRead))
    return function (request, reply) {
      return recovery.fromWhole(async () => handler.call(this, request, reply))
    }
  return async function (request, reply) {
    try {
      return await handler.call(this, request, reply)
    } catch (error) {
      await recovery.assertNotLost()
      throw error
    }
  }
}

function newApp(log: Logger, publicUrl: PublicUrl) {
  const app = fastify({
    loggerInstance: log,
    rewriteUrl: ({ url = '/' }) => ownUrl(url, publicUrl),
    bodyLimit: bodyLimitBytes,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: 'idle',
    // For the whole of a request, the slowest upload of a batch included.
    requestTimeout: requestTimeoutMs,
    frameworkErrors: answerError,
    clientErrorHandler: answerBrokenRequest,
  })
  return app.withTypeProvider<ZodTypeProvider>()
}
