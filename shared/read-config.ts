import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { z } from 'zod'
import { errnoOf } from './errors.ts'

/** What is wrong with the configuration, all of it at once. The services print it and exit with 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** @throws ConfigError naming every fault of `value`, before anything was connected to. */
export function readConfig<S extends z.ZodType>(schema: S, value: unknown, source: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) => `  ${issue.path.join('.') || '(whole)'}: ${issue.message}`)
  throw new ConfigError(`${source} is not right:\n${faults.join('\n')}`)
}

/** A YAML file's content. @throws ConfigError when it is not there or not YAML. */
export function readYaml(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8')) ?? {}
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new ConfigError(`${path} does not exist; create it or name another file.`)
    throw new ConfigError(`${path} cannot be read: ${error instanceof Error ? error.message : error}`)
  }
}
