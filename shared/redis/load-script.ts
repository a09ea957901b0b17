import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Redis } from 'ioredis'

/** Runs a script with its keys and arguments. Its text is sent only to a Redis that does not know its hash. */
export type Script<Answer> = (keys: string[], ...args: (string | number)[]) => Promise<Answer>

/** Reads a script; a file of `includes/` replaces each line `--- @include "NAME"`, as in BullMQ's own scripts. */
function readScript(file: URL): string {
  const text = readFileSync(file, 'utf8')
  return text.replace(/^--- @include "([a-z-]+)"$/gm, (_line, name) => readScript(new URL(`includes/${name}.lua`, file)))
}

/** Defines a Lua file as a command of a connection. */
export function loadScript<Answer>(redis: Redis, file: URL): Script<Answer> {
  const name = `provost-${basename(file.pathname, '.lua')}`
  redis.defineCommand(name, { lua: readScript(file) })
  const defined = redis as unknown as Record<string, (...args: (string | number)[]) => Promise<Answer>>
  return async (keys, ...args) => defined[name]?.(keys.length, ...keys, ...args) as Promise<Answer>
}
