import { createHash } from 'node:crypto'
import { ProvostError } from '#shared/errors.ts'

/** A parameter of jail.conf(5): `true` for one without a value (`persist;`), a value, or a list of them. */
export type Parameter = true | string | readonly string[]

const heading = '# Provost wrote this file for a jail that is to run: do not edit it. sha256 of what follows: '
const escapes: Record<string, string> = {
  '\\': '\\\\',
  '"': '\\"',
  $: '\\$',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

/**
 * Returns the text of a jail.conf(5) with one jail. The only place that makes one: every value is in double quotes, in which `\`,
 * `"`, `$` and control characters are escaped and nothing else means anything.
 * @throws ProvostError `invalid_request` for what the grammar cannot express.
 */
export function jailConf(name: string, parameters: Record<string, Parameter>): string {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw unwritable('the name of a jail', name)
  const lines = Object.entries(parameters).map(([key, value]) => `  ${statement(key, value)}`)
  const body = `${name} {\n${lines.join('\n')}\n}\n`
  return `${heading}${sumOf(body)}\n${body}`
}

/** Whether a file is as `jailConf` wrote it: jail(8) removes a jail by the file's present content. */
export function isAsWritten(text: string): boolean {
  const end = text.indexOf('\n')
  return end > 0 && text.slice(0, end) === `${heading}${sumOf(text.slice(end + 1))}`
}

/** Returns a value in double quotes, jail.conf(5). */
export function quote(value: string): string {
  // A NUL ends the value silently; half a surrogate pair is no text.
  if (value.includes('\0') || !value.isWellFormed()) throw unwritable('a value of jail.conf', value)
  return `"${[...value].map(escapeCharacter).join('')}"`
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (code < 0x20 || code === 0x7f) return escapes[character] ?? `\\${code.toString(8).padStart(3, '0')}`
  return escapes[character] ?? character
}

function statement(key: string, value: Parameter): string {
  if (!/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/.test(key)) throw unwritable('a parameter of jail.conf', key)
  if (value === true) return `${key};`
  const values = typeof value === 'string' ? [value] : value
  // `key = ;` is a syntax error, which would stop every jail of the host from starting and stopping.
  if (values.length === 0) throw unwritable('a list of jail.conf', '')
  return `${key} = ${values.map(quote).join(', ')};`
}

function sumOf(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

function unwritable(what: string, value: string): ProvostError {
  return new ProvostError('invalid_request', `${JSON.stringify(value)} cannot be ${what}.`)
}
