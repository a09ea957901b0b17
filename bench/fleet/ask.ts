import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true })

/** Sends a request over a kept connection; Node's `fetch` alone would take a third of the measured time. */
export function ask(url: string, key: string, method: string, body?: object): Promise<{ status: number; body: unknown }> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const headers = { authorization: `Bearer ${key}`, ...(text === undefined ? {} : { 'content-type': 'application/json' }) }
  return new Promise((resolve, reject) => {
    request(url, { agent, method, headers }, (response) => {
      let answer = ''
      response
        .setEncoding('utf8')
        .on('data', (part) => {
          answer += part
        })
        .on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(answer || 'null') }))
        .on('error', reject)
    })
      .on('error', reject)
      .end(text)
  })
}
