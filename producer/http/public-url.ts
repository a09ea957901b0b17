import type { FastifyReply, FastifyRequest } from 'fastify'

/** Where people reach the producer, if that is said: behind a proxy, perhaps below a path. `path`: without a slash at its end. */
export type PublicUrl = { origin?: string; path: string }

export function readPublicUrl(url: string | undefined): PublicUrl {
  if (url === undefined) return { path: '' }
  const { origin, pathname } = new URL(url)
  return { origin, path: pathname.replace(/\/+$/, '') }
}

/** Returns the URL of a request without the public path, which some proxies leave on it and others take off. */
export function ownUrl(url: string, { path }: PublicUrl): string {
  const rest = url.startsWith(path) ? url.slice(path.length) : url
  return /^[/?]/.test(rest) ? rest.replace(/^\?/, '/?') : rest === '' ? '/' : url
}

/** Returns a hook that puts the public path before every path that an answer points to. */
export const pointBelow =
  ({ path }: PublicUrl) =>
  async (_request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> => {
    const location = reply.getHeader('location')
    if (path !== '' && typeof location === 'string' && /^\/(?!\/)/.test(location)) reply.header('location', `${path}${location}`)
    return payload
  }

/** Returns a hook that puts the public path before every path that the hint of a problem names. */
export const hintBelow =
  ({ path }: PublicUrl) =>
  async (_request: FastifyRequest, _reply: FastifyReply, payload: unknown): Promise<unknown> => {
    const isProblem = typeof payload === 'object' && payload !== null && 'code' in payload && 'hint' in payload
    if (path === '' || !isProblem) return payload
    return { ...payload, hint: String(payload.hint).replaceAll(/(?<=^|\s)\/(?=(?:v1|login|openapi\.json)\b)/g, `${path}/`) }
  }
