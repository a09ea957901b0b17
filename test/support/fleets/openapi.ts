import { buildApp } from '../../../producer/http/app.ts'
import type { AppDeps } from '../../../producer/http/app-deps.ts'
import { log } from './test-producer.ts'

/** Returns the description of the HTTP interface, as a producer serves it. Nothing is opened for it. */
export async function openApiDocument(): Promise<any> {
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
    publicUrl: { path: '' },
    awaitReplica: undefined,
  } as unknown as AppDeps)
  await app.ready()
  const document = app.swagger()
  await app.close()
  return document
}
