import type { FastifyPluginAsync } from 'fastify'
import { pageHeaders, pageStyle } from '../access/login-page.ts'

const links = [
  ['docs', 'Every call', 'with its fields, and curl to copy'],
  ['queues', 'Queues', "of the hosts' jobs; asks for the API key"],
  ['openapi.json', 'OpenAPI', 'for programs'],
  ['readyz', 'Readiness', 'and what is missing for it'],
  ['metrics', 'Metrics', 'for Prometheus; need the API key'],
]

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Provost</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
  <h1>Provost</h1>
  <p>This is a producer: it takes requests for jails, and puts them into the queues of its hosts.</p>
  <ul>
${links.map(([href, name, text]) => `    <li><a href="${href}">${name}</a> ${text}</li>`).join('\n')}
  </ul>
  <p>On a command line: <code>provost --help</code>.</p>
</main>
</body>
</html>
`

/** The page that a browser gets at `/`. Its links are relative, so that they hold below any path of a proxy. */
export const homeRoute = (): FastifyPluginAsync => async (app) => {
  app.get('/', { schema: { hide: true } }, (request, reply) => {
    if (!(request.headers.accept ?? '').includes('text/html')) return reply.callNotFound()
    return reply.headers(pageHeaders).send(page)
  })
}
