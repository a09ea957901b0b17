import { readFileSync } from 'node:fs'
import { type Document, isMap, isNode, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { errnoOf } from '../errors.ts'

/** All faults of the configuration in one message. The services print it and exit with 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Parses a configuration. @throws ConfigError with every fault of `value` */
export function readConfig<S extends z.ZodType>(schema: S, value: unknown, source: string): z.output<S> {
  return check(schema, value, source, () => '')
}

/** Reads a YAML file by a schema. @throws ConfigError with every fault, its line and its path */
export function readConfigFile<S extends z.ZodType>(schema: S, path: string): z.output<S> {
  const { document, lines } = parseFile(path)
  const lineOf = (fault: PropertyKey[]) => `line ${lineAt(document, lines, fault)}, `
  return check(schema, document.toJS() ?? {}, path, lineOf)
}

/** Reads a YAML file without a schema. @throws ConfigError when it does not exist or is not YAML */
export function readYaml(path: string): unknown {
  return parseFile(path).document.toJS() ?? {}
}

function check<S extends z.ZodType>(
  schema: S,
  value: unknown,
  source: string,
  lineOf: (path: PropertyKey[]) => string,
): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const faults = result.error.issues.flatMap((issue) => {
    const where = (path: PropertyKey[]) => `  ${lineOf(path)}${path.join('.') || '(whole)'}`
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${where([...issue.path, key])}: is not known`)
    const message = issue.message.endsWith('received undefined') ? 'is required' : issue.message
    return [`${where(issue.path)}: ${message}`]
  })
  throw new ConfigError(`${source} is not right:\n${faults.join('\n')}`)
}

function parseFile(path: string): { document: Document; lines: LineCounter } {
  const lines = new LineCounter()
  const document = parseDocument(readText(path), { lineCounter: lines })
  const [fault] = document.errors
  if (fault) throw new ConfigError(`${path} is not YAML: ${fault.message}`)
  return { document, lines }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new ConfigError(`${path} does not exist; create it or name another file.`)
    throw new ConfigError(`${path} cannot be read: ${error instanceof Error ? error.message : error}`)
  }
}

/** The line of a path: of its key or, when that is missing, of the start of its nearest existing parent. */
function lineAt(document: Document, lines: LineCounter, path: PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true)
    const key = isMap(parent) ? parent.items.find((pair) => String(pair.key) === String(path[depth - 1]))?.key : undefined
    const node = isNode(key) ? key : document.getIn(path.slice(0, depth), true)
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
  }
  return 1
}
