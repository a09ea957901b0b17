import { buildApp } from '../../../producer/http/app.ts'
import type { AppDeps } from '../../../producer/http/app-deps.ts'
import { readPublicUrl } from '../../../producer/http/public-url.ts'
import { log } from './test-producer.ts'

/** Returns the HTTP service of a producer, for which nothing is opened. */
export async function buildIdleApp(publicUrl?: string): ReturnType<typeof buildApp> {
  const unused = new Proxy(() => undefined, {
    get: (_, name) => (name === 'then' ? undefined : unused),
    apply: () => unused,
  }) as any
  const deps = {
    ...Object.fromEntries(['redis', 'keys', 'records', 'hosts', 'recovery', 'metrics', 'feed'].map((name) => [name, unused])),
  }
  const app = await buildApp({
    ...deps,
    log,
    apiKey: 'key',
    publicUrl: readPublicUrl(publicUrl),
    awaitReplica: undefined,
  } as unknown as AppDeps)
  await app.ready()
  return app
}

/** Returns the description of the HTTP interface, as a producer serves it. */
export async function openApiDocument(): Promise<any> {
  const app = await buildIdleApp()
  const document = app.swagger()
  await app.close()
  return document
}
