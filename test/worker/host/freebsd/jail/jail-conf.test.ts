import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { isAsWritten, jailConf, quote } from '../../../../../worker/host/freebsd/jail/jail-conf.ts'
import { parseJailConf } from '../../../../support/freebsd/jail/parse-jail-conf.ts'

const directory = mkdtempSync(join(tmpdir(), 'provost-conf-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** What jail(8) would understand of a file of ours. */
function read(text: string) {
  const path = join(directory, 'jail.conf')
  writeFileSync(path, text)
  const { jails, messages } = parseJailConf(path)
  return { messages, jails: jails.map(({ name, parameters }) => ({ name, parameters: Object.fromEntries(parameters) })) }
}

const hostile = {
  quotes: `a"b'c`,
  'a variable': ['$name $', '{path} $x'].join(''),
  'an escape': '\\n\\\\ \\" \\x41 \\101',
  comments: '/a//b /*c*/ #d',
  'a pattern': '*.k1 ? [a-z]',
  'the end of a block': '"; } evil { path="/"; persist; } a { x="',
  'an include': '.include "/etc/passwd";',
  'a newline': 'one\ntwo\r\nthree',
  'other scripts': 'ünïcödé ☃ 🏛',
  blanks: '  \t ',
  nothing: '',
  'digits after an escape': '\x01234\x7f7',
}

describe('jailConf', () => {
  it('writes one jail with every value in quotes', () => {
    const text = jailConf('web1', { path: '/jails/web1', persist: true, 'ip4.addr': ['em0|10.0.0.1/24', 'em0|10.0.0.2/24'] })
    expect(text.split('\n').slice(1)).toEqual([
      'web1 {',
      '  path = "/jails/web1";',
      '  persist;',
      '  ip4.addr = "em0|10.0.0.1/24", "em0|10.0.0.2/24";',
      '}',
      '',
    ])
  })

  it.each(Object.entries(hostile))('keeps %s whole', (_, value) => {
    expect(read(jailConf('a', { 'host.hostname': value, 'ip4.addr': [value, value], persist: true }))).toEqual({
      messages: [],
      jails: [{ name: 'a', parameters: { name: ['a'], 'host.hostname': [value], 'ip4.addr': [value, value], persist: [] } }],
    })
  })

  it('keeps every character but NUL whole, alone and between others', () => {
    const codes = [...Array.from({ length: 0x250 }, (_, i) => i), 0x2028, 0xfeff, 0xffff, 0x1f3db].filter((code) => code !== 0)
    const values = codes.flatMap((code) => {
      const character = String.fromCodePoint(code)
      return [character, `a${character}7`, `${character}${character}"`]
    })
    expect(read(jailConf('a', { path: values })).jails[0]?.parameters['path']).toEqual(values)
  })

  it.each([
    ['a NUL', 'a\0b'],
    ['half a character', 'a\ud83d'],
  ])('refuses %s', (_, value) => {
    expect(() => quote(value)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })

  it.each(['', '42', '007', '*', 'a b', 'a.b', 'a=b', '-r', 'a"', 'ünï', 'a\nb', '$x'])('refuses the name %j', (name) => {
    expect(() => jailConf(name, { persist: true })).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })

  it.each(['', 'a b', 'a;b', '$x', '.include', 'exec.start="x"', 'a.'])('refuses the parameter %j', (key) => {
    expect(() => jailConf('a', { [key]: 'x' })).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })

  it('refuses an empty list, which would be a syntax error', () => {
    expect(() => jailConf('a', { 'ip4.addr': [] })).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })

  it('knows its own text from one that was changed', () => {
    const text = jailConf('a', { path: '/jails/a', persist: true })
    expect(isAsWritten(text)).toBe(true)
    for (const changed of [text.replace('/jails/a', '/jails/b'), `${text}b { persist; }\n`, text.slice(0, -3), '', 'a { }\n'])
      expect(isAsWritten(changed)).toBe(false)
  })
})
