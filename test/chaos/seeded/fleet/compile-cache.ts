import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const project = join(import.meta.dirname, '..', '..', '..', '..')

/** Where the services find themselves compiled: they are started again and again. */
export const compileCache = join(project, '.cache', 'compiled')

/** Compiles what the services are made of. Node writes its cache when a process ends, which one that is killed never does. */
export async function fillCompileCache(): Promise<void> {
  const modules = ['producer/start-producer.ts', 'worker/start/start-worker.ts'].map((path) => join(project, path))
  const code = `Promise.all(${JSON.stringify(modules)}.map((path) => import(path))).then(() => process.exit())`
  await promisify(execFile)(process.execPath, ['--eval', code], { env: { ...process.env, NODE_COMPILE_CACHE: compileCache } })
}
