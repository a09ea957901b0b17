import { readFileSync } from 'node:fs'

/** What jail(8) prints when it cannot read a file; nothing of the file can be used then. */
export class ConfError extends Error {}

export type Piece = { text: string } | { variable: string }
export type Word = { kind: 'word'; pieces: Piece[]; line: number; shown: string }
export type Mark = { kind: 'mark'; mark: string; line: number }
export type Token = Word | Mark

// What may stand outside quotes: `* + / $ \` only by themselves.
const bare = /[A-Za-z0-9_!%&()\-.:<>?@[\]^`|~$*+/\\]/
const blanks = /^(\s+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)/
const variable = /^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([^\n{}]*)\})/
const named: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\n': '' }

/** The tokens of a jail.conf(5), as jaillex.l of 14.0 and later makes them. Works on bytes, as that does. */
export function tokensOf(path: string): Token[] {
  const text = readBytes(path)
  const tokens: Token[] = []
  let at = 0
  let line = 1
  const take = (count: number): string => {
    const taken = text.slice(at, at + count)
    line += taken.split('\n').length - 1
    at += count
    return taken
  }
  const fail = (what: string, where = line): never => {
    throw new ConfError(`jail: ${path} line ${where}: ${what}`)
  }

  while (at < text.length) {
    const rest = text.slice(at)
    const blank = blanks.exec(rest)?.[0]
    const mark = /^(\+=|[;{}=,])/.exec(rest)?.[0]
    // A byte of 0x80 or more between tokens reads as the end of the file, without a word (a signed char, amd64).
    if (rest.charCodeAt(0) >= 0x80) break
    if (blank) take(blank.length)
    else if (rest.startsWith('/*')) fail(`unterminated comment\njail: ${path}: unexpected EOF`)
    else if (mark) tokens.push({ kind: 'mark', mark: take(mark.length), line })
    else tokens.push(readWord())
  }
  return tokens

  function readWord(): Word {
    const [start, begun] = [at, line]
    const pieces: Piece[] = []
    for (;;) {
      const rest = text.slice(at)
      const found = variable.exec(rest)
      if (rest[0] === '"' || rest[0] === "'") pieces.push(...readString(rest[0]))
      else if (found) pieces.push({ variable: nameOf(found, take(found[0].length)) })
      else if (rest !== '' && bare.test(rest[0] ?? '') && !/^(\/\/|\/\*|\+=)/.test(rest)) pieces.push({ text: take(1) })
      else break
    }
    if (at === start) fail(`${shownByte(text[at] ?? '')}: syntax error`)
    return { kind: 'word', pieces, line: begun, shown: text.slice(start, at) }
  }

  function readString(quote: string): Piece[] {
    const begun = line
    const pieces: Piece[] = []
    let bytes = ''
    const flush = () => {
      // A NUL ends a value without a word.
      const end = bytes.indexOf('\0')
      pieces.push({ text: Buffer.from(end === -1 ? bytes : bytes.slice(0, end), 'latin1').toString('utf8') })
      bytes = ''
    }
    take(1)
    while (text[at] !== quote) {
      if (at >= text.length) fail(`unterminated string\njail: ${path}: unexpected EOF`, begun)
      const found = quote === '"' ? variable.exec(text.slice(at)) : null
      if (quote === '"' && text.startsWith('${', at) && !found) fail('unterminated variable')
      if (found) {
        flush()
        pieces.push({ variable: nameOf(found, take(found[0].length)) })
      } else bytes += text[at] === '\\' ? readEscape() : take(1)
    }
    take(1)
    flush()
    return pieces
  }

  function readEscape(): string {
    take(1)
    const rest = text.slice(at)
    const octal = /^[0-7]{1,3}/.exec(rest)?.[0]
    if (octal) return String.fromCharCode(Number.parseInt(take(octal.length), 8) & 0xff)
    const hex = /^x([0-9a-fA-F]{1,2})/.exec(rest)
    if (hex) return String.fromCharCode(Number.parseInt(take(hex[0].length).slice(1), 16))
    const character = take(1)
    return named[character] ?? character
  }
}

function nameOf(found: RegExpExecArray, _taken: string): string {
  return found[1] ?? found[2] ?? ''
}

function shownByte(byte: string): string {
  return byte.charCodeAt(0) >= 0x80 ? `\\x${byte.charCodeAt(0).toString(16)}` : byte
}

function readBytes(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    throw new ConfError(`jail: ${path}: No such file or directory`)
  }
}
