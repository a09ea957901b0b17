import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { execa } from 'execa'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { Operation } from '#shared/operation.ts'

export type Asked = { method: string; url: string; headers: IncomingHttpHeaders; body: unknown }
export type Reply = { status: number; headers?: Record<string, string>; body?: unknown; breaks?: true }

const program = fileURLToPath(new URL('../../../bin/provost', import.meta.url))

/** The body of an operation's event stream. */
export const events = (operation: Operation) => `id: 1\nevent: operation\ndata: ${JSON.stringify(operation)}\n\n`

/** A server that answers what a test says, and the command line that talks to it. `asked`: the requests of the test so far. */
export function pretendProducer() {
  const asked: Asked[] = []
  let replies: ((request: Asked) => Reply)[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const { method = '', url = '', headers } = request
    const isJson = headers['content-type'] === 'application/json'
    const seen = { method, url, headers, body: text === '' ? undefined : isJson ? JSON.parse(text) : text }
    asked.push(seen)
    const reply = (replies.length > 1 ? replies.shift() : replies[0])?.(seen) ?? { status: 500 }
    if (reply.breaks) return void response.destroy()
    const type = typeof reply.body === 'string' ? 'text/event-stream' : 'application/json'
    response.writeHead(reply.status, { 'content-type': type, ...reply.headers })
    response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body))
  })

  beforeAll(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterAll(() => void server.close())
  beforeEach(() => {
    asked.length = 0
    replies = []
  })

  /** Runs the program; the server answers one request after the other with `answers`, the last one again and again. */
  async function provost(
    args: string[],
    answers: (Reply | ((request: Asked) => Reply))[] = [],
    env: Record<string, string> = {},
    input?: string,
  ) {
    answerWith(answers)
    const { exitCode, stdout, stderr } = await execa(program, args, {
      env: { ...environment(), ...env },
      reject: false,
      ...(input === undefined ? { stdin: 'ignore' } : { input }),
    })
    return { exitCode, stdout, stderr }
  }

  /** Runs the program on a terminal of its own (script(1)), where somebody types `typed`. `shown`: all that is on the screen. */
  async function provostAtTerminal(args: string[], answers: Reply[], typed: string) {
    answerWith(answers)
    const { exitCode, stdout } = await execa('script', ['-qec', [program, ...args].join(' '), '/dev/null'], {
      env: environment(),
      reject: false,
      input: typed,
    })
    return { exitCode, shown: stripVTControlCharacters(stdout).replaceAll('\r', '') }
  }

  function answerWith(answers: (Reply | ((request: Asked) => Reply))[]): void {
    replies = answers.map((answer) => (typeof answer === 'function' ? answer : () => answer))
  }

  const environment = () => ({
    PROVOST_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    PROVOST_API_KEY: 'a-key',
  })

  return { provost, provostAtTerminal, asked }
}
