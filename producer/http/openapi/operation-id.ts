/** What follows from no rule, by method and path. */
const named: Record<string, string> = {
  'get /healthz': 'isAlive',
  'get /readyz': 'isReady',
  'get /metrics': 'readMetrics',
  'get /login': 'showLogin',
  'post /login': 'logIn',
  'get /logout': 'logOut',
  'post /logout': 'logOutByForm',
  'get /v1/events': 'followFleet',
  'get /v1/operations/{id}/events': 'followOperation',
  'post /v1/batches/rejects': 'findRejects',
  'get /v1/batches/{id}/report.csv': 'readBatchReport',
  'get /v1/batches/{id}/report.json': 'readBatchReportAsJson',
  'get /v1/recover': 'showRecovery',
  'post /v1/recover': 'recoverFleet',
  'post /v1/hosts/{id}/adopt': 'adoptOrphans',
  'post /v1/hosts/{id}/clean': 'cleanOrphans',
}

/**
 * Returns the name of a call for programs, a verb and what it is about: `listJails`, `showJail`, `createJail`, `startJail`,
 * `listHostLeftovers`, `readOperationLog`.
 */
export function operationIdOf(method: string, path: string): string {
  const exception = named[`${method} ${path}`]
  if (exception) return exception
  const parts = path.split('/').filter((part) => part !== '' && part !== 'v1')
  const last = parts.at(-1) ?? 'start'
  const things = parts.filter((part) => !part.startsWith('{'))
  if (last.startsWith('{')) return `${method === 'delete' ? 'destroy' : 'show'}${nameOf(things)}`
  if (method === 'get' && things.length === 1) return `list${capital(last)}`
  if (method === 'get') return `${last.endsWith('s') ? 'list' : 'read'}${nameOf(things.slice(0, -1))}${capital(last)}`
  if (things.length === 1) return `create${nameOf(things)}`
  // An action on the thing before it.
  const [thing = ''] = things.slice(-2)
  const isOne = parts.at(-2)?.startsWith('{')
  return `${last}${isOne ? nameOf([thing]) : capital(thing)}`
}

const nameOf = (things: string[]) => things.map((thing) => capital(singular(thing))).join('')
const singular = (thing: string) => thing.replace(/ches$/, 'ch').replace(/s$/, '')
const capital = (word: string) =>
  word
    .split(/[-.]/)
    .map((part) => `${part[0]?.toUpperCase() ?? ''}${part.slice(1)}`)
    .join('')
