import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { beforeAll, describe, expect, test } from 'vitest'
import { CreateBatch } from '#shared/batch.ts'
import { errorCodes } from '#shared/errors.ts'
import { CreateJail } from '#shared/jail.ts'
import { examples } from '../../../../producer/http/openapi/examples.ts'
import { openApiDocument } from '../../../support/fleets/openapi.ts'

const lint = join(import.meta.dirname, '../../../../node_modules/.bin/redocly')
const secondsMs = 1_000

describe('the description of the HTTP interface', () => {
  let document: any
  let calls: [string, any][]
  beforeAll(async () => {
    document = await openApiDocument()
    calls = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item as object).map(([method, operation]): [string, any] => [`${method} ${path}`, operation]),
    )
  })
  const call = (name: string) => calls.find(([at]) => at === name)?.[1]

  test('has no fault that Redocly knows of', { timeout: 60 * secondsMs }, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'provost-openapi-'))
    const file = join(directory, 'openapi.json')
    await writeFile(file, JSON.stringify(document))
    // It tells nobody that it was run, and asks nobody for a newer version.
    const env = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
    const { stdout } = await execa(lint, ['lint', file, '--format', 'json'], { env, reject: false, stderr: 'ignore' })
    expect(
      JSON.parse(stdout).problems.map(({ ruleId, message, location }: any) => [ruleId, message, location[0]?.pointer]),
    ).toEqual([])
    await rm(directory, { recursive: true })
  })

  test('names every call by a verb, each once', () => {
    const ids = calls.map(([, { operationId }]) => operationId)
    expect(ids.filter((id) => !/^[a-z]+[A-Z]\w+$/.test(id))).toEqual(
      ['logIn', 'logOut'].filter((id) => !/^[a-z]+[A-Z]\w+$/.test(id)),
    )
    expect(new Set(ids).size).toBe(ids.length)
    const some = [
      'get /v1/jails',
      'get /v1/jails/{name}',
      'post /v1/jails',
      'delete /v1/jails/{name}',
      'post /v1/jails/{name}/start',
    ]
    expect(some.map((name) => call(name).operationId)).toEqual([
      'listJails',
      'showJail',
      'createJail',
      'destroyJail',
      'startJail',
    ])
    const more = ['get /v1/operations/{id}/log', 'post /v1/hosts/{id}/worlds/{name}/fill', 'get /v1/hosts/{id}/leftovers']
    expect(more.map((name) => call(name).operationId)).toEqual(['readOperationLog', 'fillWorld', 'listHostLeftovers'])
    expect(call('post /v1/hosts/{id}/leftovers/retry').operationId).toBe('retryLeftovers')
  })

  test('has the errors of every call as they are sent, and all their codes', () => {
    const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
    for (const [name, { responses }] of calls)
      expect([name, responses['4XX'].content, responses['5XX'].content]).toEqual([name, problem, problem])
    expect(document.components.schemas.Problem.properties.code).toEqual({ $ref: '#/components/schemas/ErrorCode' })
    expect(document.components.schemas.ErrorCode.enum).toEqual(errorCodes)
  })

  test('has what streams, logs, reports and figures are sent as', () => {
    const typesOf = (name: string) => Object.keys(call(name).responses['200'].content)
    expect(
      [
        'get /v1/events',
        'get /v1/operations/{id}/events',
        'get /v1/operations/{id}/log',
        'get /v1/batches/{id}/report.csv',
        'get /v1/batches/{id}/report.json',
        'get /metrics',
        'post /v1/batches/rejects',
      ].map(typesOf),
    ).toEqual([
      ['text/event-stream'],
      ['text/event-stream'],
      ['text/plain'],
      ['text/csv'],
      ['application/json'],
      ['text/plain'],
      ['text/csv', 'application/x-ndjson'],
    ])
    const { content } = call('post /v1/batches').requestBody
    expect(Object.keys(content)).toEqual(['application/json', 'text/csv', 'application/x-ndjson'])
  })

  test('has the headers that are sent and understood', () => {
    const { responses, parameters } = call('post /v1/jails')
    expect(Object.keys(responses['202'].headers)).toEqual(['Location', 'Idempotency-Replayed', 'Preference-Applied'])
    expect(Object.keys(responses['5XX'].headers)).toEqual(['Retry-After'])
    expect(parameters.map(({ name }: any) => name)).toEqual(['dryRun', 'idempotency-key', 'prefer'])
    expect(call('get /v1/events').parameters.map(({ name }: any) => name)).toEqual(['last-event-id'])
  })

  test('has one schema for one thing', () => {
    const names = Object.keys(document.components.schemas)
    expect(names.filter((name) => name.endsWith('Input'))).toEqual([])
    expect(call('post /v1/jails').requestBody.content['application/json'].schema).toEqual({
      $ref: '#/components/schemas/CreateJail',
    })
  })

  test('has examples that are right', () => {
    const exampleOf = (name: string) => call(name).requestBody.content['application/json'].example
    expect(CreateJail.safeParse(exampleOf('post /v1/jails')).success).toBe(true)
    expect(CreateBatch.safeParse(exampleOf('post /v1/batches')).success).toBe(true)
    expect(document.components.schemas.Problem.examples).toEqual([examples.problem])
  })
})
