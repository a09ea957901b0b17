import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export type PathProxy = Awaited<ReturnType<typeof startPathProxy>>

/**
 * A proxy that has another service below a path, and nothing else. `strips`: it takes the path off what it passes on, as some do.
 * Like them it names the other service in `Host`.
 */
export async function startPathProxy(path: string, { strips }: { strips: boolean }) {
  let target: URL | undefined
  const server = createServer((incoming, answer) => {
    const { url = '', method = 'GET', headers } = incoming
    if (!target || !(url === path || url.startsWith(`${path}/`))) return void answer.writeHead(404).end('not here')
    const onwards = strips ? url.slice(path.length) || '/' : url
    const { hostname, port, host } = target
    const passed = request({ hostname, port, path: onwards, method, headers: { ...headers, host } }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.pipe(answer)
    })
    passed.on('error', () => answer.destroy())
    answer.on('close', () => passed.destroy())
    incoming.pipe(passed)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    passTo(url: string): void {
      target = new URL(url)
    },
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
