import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { download } from '../../../../worker/worlds/files/download.ts'
import { asker, test as base, openStore } from '../world-fixture.ts'

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void

/** A real server on loopback that answers as a test says. */
const test = base.extend<{ serve(answer: Answer): Promise<{ url: string; requests: IncomingMessage[] }> }>({
  serve: async ({ task: _ }, use) => {
    const servers: ReturnType<typeof createServer>[] = []
    await use(async (answer) => {
      const requests: IncomingMessage[] = []
      const server = createServer((request, response) => {
        requests.push(request)
        answer(request, response, requests.length)
      })
      servers.push(server)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/base.tar`, requests }
    })
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  },
})

const content = randomBytes(300_000)
const sha256 = createHash('sha256').update(content).digest('hex')
const quiet = { signal: new AbortController().signal, progress() {} }

/** Sends from where Range says, and breaks the connection after `bytes`. */
function sendPart(request: IncomingMessage, response: ServerResponse, data: Buffer, bytes: number, etag = '"one"'): void {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const resumes = from > 0 && request.headers['if-range'] === etag
  const rest = resumes ? data.subarray(from) : data
  const headers = {
    'content-length': rest.length,
    etag,
    ...(resumes ? { 'content-range': `bytes ${from}-*/${data.length}` } : {}),
  }
  response.writeHead(resumes ? 206 : 200, headers)
  if (bytes >= rest.length) response.end(rest)
  else response.write(rest.subarray(0, bytes), () => setImmediate(() => response.destroy()))
}

describe('a download', () => {
  test('goes on where a broken connection left it', async ({ serve, scratch }) => {
    const { url, requests } = await serve((request, response) => sendPart(request, response, content, 120_000))
    const file = join(scratch, 'file')
    const fractions: number[] = []
    expect(await download({ ...quiet, url, file, progress: (done) => fractions.push(done) })).toBe(sha256)
    expect((await readFile(file)).equals(content)).toBe(true)
    expect(requests.length).toBeGreaterThanOrEqual(3)
    expect(requests.slice(1).every(({ headers }) => /^bytes=[1-9]\d*-$/.test(headers.range ?? ''))).toBe(true)
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b))
    expect(fractions.at(-1)).toBe(1)
  })

  test('starts anew when the file has changed meanwhile', async ({ serve, scratch }) => {
    const { url } = await serve((request, response, count) =>
      count === 1
        ? sendPart(request, response, randomBytes(400_000), 120_000, '"old"')
        : sendPart(request, response, content, content.length, '"new"'),
    )
    const file = join(scratch, 'file')
    expect(await download({ ...quiet, url, file })).toBe(sha256)
    expect((await readFile(file)).equals(content)).toBe(true)
  })

  test('gives up, for a later try, when a connection brings nothing more', async ({ serve, scratch }) => {
    const { url, requests } = await serve((_, response) => response.destroy())
    const failure = download({ ...quiet, url, file: join(scratch, 'file') })
    await expect(failure).rejects.toMatchObject({ code: 'mirror_unavailable', retryable: true })
    expect(requests.length).toBe(1)
  })

  test('ends at once when its signal does', async ({ serve, scratch }) => {
    const stop = new AbortController()
    const { url } = await serve((_, response) => {
      response.writeHead(200).write('some')
      stop.abort(new Error('stopped'))
    })
    await expect(download({ ...quiet, signal: stop.signal, url, file: join(scratch, 'file') })).rejects.toThrow('stopped')
  })
})

describe('a world from a URL', () => {
  test('is filled although the connection breaks on the way', async ({ kept, serve, scratch }) => {
    const source = join(scratch, 'source')
    await mkdir(join(source, 'etc'), { recursive: true })
    await writeFile(join(source, 'etc/blob'), content)
    const tar = join(scratch, 'base.tar')
    execFileSync('tar', ['-c', '-f', tar, '-C', source, '.'])
    const packed = await readFile(tar)
    const { url } = await serve((request, response) => sendPart(request, response, packed, 150_000))
    const sum = createHash('sha256').update(packed).digest('hex')
    const { store, id } = await openStore(kept, [{ name: 'base', method: 'archive', url, sha256: sum }])
    await store.fill(id, asker('one'))?.done
    expect((await readFile(join(kept.host.worldTree(id), 'etc/blob'))).equals(content)).toBe(true)
  })

  test('is tried three times while its mirror answers 503, then fails for good', async ({ kept, serve }) => {
    const { url, requests } = await serve((_, response) => response.writeHead(503).end())
    const { store, id } = await openStore(kept, [{ name: 'base', method: 'archive', url, sha256 }])
    await expect(store.fill(id, asker('one'))?.done).rejects.toMatchObject({
      code: 'mirror_unavailable',
      retryable: false,
      message: expect.stringMatching(/503.*tried 3 times/),
    })
    expect(requests.length).toBe(3)
    expect({ stages: await kept.stages(), worlds: await kept.worlds() }).toEqual({ stages: [], worlds: [] })
  })

  test('fails at once when the mirror does not have it', async ({ kept, serve }) => {
    const { url, requests } = await serve((_, response) => response.writeHead(404).end())
    const { store, id } = await openStore(kept, [{ name: 'base', method: 'archive', url, sha256 }])
    await expect(store.fill(id, asker('one'))?.done).rejects.toMatchObject({ code: 'world_source_missing' })
    expect(requests.length).toBe(1)
  })
})
