import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ConfError, type Piece, type Token, tokensOf, type Word } from './conf-lexer.ts'

/** The parameters of a jail in the order of the file; an empty list is a parameter without a value. */
export type Parameters = Map<string, string[]>
export type ConfJail = { name: string; parameters: Parameters }
/** `messages`: what is printed on standard error for each command that uses the file; a jail named in one cannot start. */
export type Conf = { jails: ConfJail[]; messages: string[] }

type Statement = { key: string; op: '=' | '+=' | ''; values: Piece[][] }
type Block = { name: string; statements: Statement[] }

/** Reads a jail.conf(5) by its grammar (jailparse.y, jaillex.l of 14.0 and later), with what it includes. */
export function parseJailConf(path: string): Conf {
  const blocks = blocksOf(path, 0)
  const messages: string[] = []
  const shared = blocks.filter(({ name }) => name === '*').flatMap(({ statements }) => statements)
  const jails = blocks
    .filter(({ name }) => name !== '*')
    .map(({ name, statements }) => {
      const parameters: Parameters = new Map([['name', [name]]])
      for (const statement of [...shared, ...statements]) apply(parameters, statement, name, messages)
      return { name, parameters }
    })
  return { jails, messages }
}

function apply(parameters: Parameters, { key, op, values }: Statement, jail: string, messages: string[]): void {
  if (key === 'name' || key === 'jid') {
    messages.push(`jail: ${jail}: cannot redefine parameter "${key}".`)
    return
  }
  const texts = values.map((pieces) => pieces.map((piece) => expand(piece)).join(''))
  parameters.set(key, op === '+=' ? [...(parameters.get(key) ?? []), ...texts] : texts)

  function expand(piece: Piece): string {
    if ('text' in piece) return piece.text
    const found = parameters.get(`$${piece.variable}`) ?? parameters.get(piece.variable)
    if (found === undefined || found.length === 0) messages.push(`jail: ${jail}: ${key}: variable "${piece.variable}" not found`)
    else if (found.length > 1) messages.push(`jail: ${jail}: ${key}: array cannot be substituted inline`)
    return found?.[0] ?? ''
  }
}

function blocksOf(path: string, depth: number): Block[] {
  if (depth > 32) throw new ConfError('jail: maximum include depth exceeded')
  const tokens = tokensOf(path)
  const global: Block = { name: '*', statements: [] }
  const blocks: Block[] = [global]
  let at = 0

  while (at < tokens.length) {
    if (takeMark(';')) continue
    const first = takeWord()
    if (textOf(first) === '.include' && tokens[at]?.kind === 'word') include(textOf(takeWord()))
    else if (takeMark('{')) blocks.push(readBlock(textOf(first)))
    else global.statements.push(readStatement(first))
  }
  return blocks

  function include(pattern: string): void {
    need(';')
    for (const file of matching(pattern.startsWith('/') ? pattern : join(dirname(path), pattern))) {
      const [hidden, ...included] = blocksOf(file, depth + 1)
      global.statements.push(...(hidden?.statements ?? []))
      blocks.push(...included)
    }
  }

  function readBlock(name: string): Block {
    const statements: Statement[] = []
    while (!takeMark('}')) if (!takeMark(';')) statements.push(readStatement(takeWord()))
    return { name, statements }
  }

  function readStatement(key: Word): Statement {
    const op = takeMark('=') ? '=' : takeMark('+=') ? '+=' : ''
    const values: Piece[][] = []
    if (op)
      do values.push(takeWord().pieces)
      while (takeMark(','))
    need(';')
    return { key: textOf(key), op, values }
  }

  function takeMark(mark: string): boolean {
    const token = tokens[at]
    if (token?.kind !== 'mark' || token.mark !== mark) return false
    at += 1
    return true
  }

  function need(mark: string): void {
    if (!takeMark(mark)) fail(tokens[at])
  }

  function takeWord(): Word {
    const token = tokens[at]
    if (token?.kind !== 'word') return fail(token)
    at += 1
    return token
  }

  function fail(token: Token | undefined): never {
    if (!token) throw new ConfError(`jail: ${path}: unexpected EOF`)
    throw new ConfError(`jail: ${path} line ${token.line}: ${token.kind === 'mark' ? token.mark : token.shown}: syntax error`)
  }
}

function textOf({ pieces }: Word): string {
  return pieces.map((piece) => ('text' in piece ? piece.text : `$${piece.variable}`)).join('')
}

/** A pattern may match nothing; a plain name must be there. */
function matching(pattern: string): string[] {
  if (!pattern.includes('*')) return [pattern]
  const [before = '', after = ''] = pattern.slice(pattern.lastIndexOf('/') + 1).split('*')
  const directory = dirname(pattern)
  try {
    return readdirSync(directory)
      .filter((name) => name.startsWith(before) && name.endsWith(after) && !name.startsWith('.'))
      .sort()
      .map((name) => join(directory, name))
  } catch {
    return []
  }
}

export function lastOf(parameters: Parameters, key: string): string | undefined {
  return parameters.get(key)?.at(-1)
}
