import type { OpenAPIV3_1 as OpenApi } from 'openapi-types'
import { examples } from './examples.ts'
import { withoutTwins } from './merge-schemas.ts'
import { operationIdOf } from './operation-id.ts'

type Document = OpenApi.Document
type Operation = OpenApi.OperationObject
type Response = OpenApi.ResponseObject

const text = (description: string, example: string): OpenApi.HeaderObject => ({
  description,
  schema: { type: 'string' },
  example,
})

const headers = {
  location: text('Where the operation is shown.', '/v1/operations/019ab2c3-7f1e-7000-8000-00c0ffee0001'),
  replayed: text('An earlier request with the same Idempotency-Key got the same answer.', 'true'),
  applied: text('The preferred wait, as it was applied: at most 60 seconds.', 'wait=30'),
  retryAfter: text('Seconds after which the same request may be sent again.', '2'),
}
const lastEventId: OpenApi.ParameterObject = {
  name: 'last-event-id',
  in: 'header',
  required: false,
  description: 'The id of the last event that was received: what happened since is sent first.',
  schema: { type: 'string' },
}
const problem = (description: string): Response => ({
  description,
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
})
const jailBody = (json: OpenApi.MediaTypeObject) => ({ 'application/json': { ...json, example: examples.createJail } })
const batchBody = (json: OpenApi.MediaTypeObject) => ({
  'application/json': { ...json, example: examples.createBatch },
  'text/csv': { schema: { type: 'string' }, example: examples.csv },
  'application/x-ndjson': { schema: { type: 'string' }, example: examples.ndjson },
})
/** What may be sent, by path, with examples: a schema of what is transformed loses its own. */
const bodies: Record<string, typeof jailBody | typeof batchBody> = {
  '/v1/jails': jailBody,
  '/v1/batches': batchBody,
  '/v1/batches/rejects': batchBody,
}

/** In the order of a reader's interest; a call belongs to that of its path. */
const tags = [
  { name: 'jails', description: 'Ask for jails, start, stop and destroy them.' },
  { name: 'operations', description: 'What was asked for: how far it is, its log, to try it again or cancel it.' },
  { name: 'batches', description: 'Many jails at once, from a file.' },
  { name: 'events', description: 'All changes of the fleet, as they happen.' },
  { name: 'hosts', description: 'The hosts, their worlds, and what on them the fleet does not know.' },
  { name: 'worlds', description: 'What jails are made from, and where it is ready.' },
  { name: 'recover', description: 'A Redis that lost its records.' },
  { name: 'service', description: 'Health, figures, and sessions of browsers.' },
]

/** Completes the description of the HTTP interface by what is the same for every call, or follows from its path. */
export function completeDocument(given: Document): Document {
  // Two methods of one route share what describes them, and must not.
  const document = JSON.parse(JSON.stringify(given)) as Document
  for (const [path, item] of Object.entries(document.paths ?? {}))
    for (const method of ['get', 'post', 'delete'] as const) {
      const operation = item?.[method]
      if (operation) completeOperation(operation, method, path)
    }
  return withoutTwins({ ...document, tags })
}

function completeOperation(operation: Operation, method: string, path: string): void {
  operation.operationId = operationIdOf(method, path)
  const thing = /^\/v1\/(\w+)/.exec(path)?.[1]
  operation.tags = [tags.find(({ name }) => name === thing)?.name ?? 'service']
  const responses = { ...(operation.responses as Record<string, Response>) }
  operation.responses = responses
  for (const response of Object.values(responses))
    if (response.description === 'Default Response') response.description = 'It is done, or shown.'
  if (responses['202']) responses['202'].description = 'It is accepted, and will be done.'

  const named = new Set((operation.parameters ?? []).map((each) => ('name' in each ? each.name : '')))
  const accepted: Response['headers'] = {
    ...(named.has('idempotency-key') ? { Location: headers.location, 'Idempotency-Replayed': headers.replayed } : {}),
    ...(named.has('prefer') ? { 'Preference-Applied': headers.applied } : {}),
  }
  for (const status of ['200', '202'])
    if (responses[status] && Object.keys(accepted).length > 0) responses[status].headers = { ...accepted }
  responses['4XX'] = problem('The request is not right, or cannot be done as things are.')
  responses['5XX'] = {
    ...problem('It cannot be done now, or is a fault of Provost.'),
    headers: { 'Retry-After': headers.retryAfter },
  }

  if (path.endsWith('/events')) operation.parameters = [...(operation.parameters ?? []), lastEventId]
  const content = (operation.requestBody as OpenApi.RequestBodyObject | undefined)?.content
  if (content && method === 'post') Object.assign(content, bodies[path]?.(content['application/json'] ?? {}))
}
