import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Redis } from 'ioredis'

/** Runs a script: its keys, then its arguments. Redis is sent the text itself where it does not have it by its hash. */
export type Script<Answer> = (keys: string[], ...args: (string | number)[]) => Promise<Answer>

/** A script's text, with files of `includes/` in the place of its lines `--- @include "NAME"`, as BullMQ's own have them. */
export function readScript(file: URL): string {
  const text = readFileSync(file, 'utf8')
  return text.replace(/^--- @include "([a-z-]+)"$/gm, (_line, name) => readScript(new URL(`includes/${name}.lua`, file)))
}

/** Makes a Lua file a command of a connection. */
export function loadScript<Answer>(redis: Redis, file: URL): Script<Answer> {
  const name = `provost-${basename(file.pathname, '.lua')}`
  redis.defineCommand(name, { lua: readScript(file) })
  const defined = redis as unknown as Record<string, (...args: (string | number)[]) => Promise<Answer>>
  return async (keys, ...args) => defined[name]?.(keys.length, ...keys, ...args) as Promise<Answer>
}
