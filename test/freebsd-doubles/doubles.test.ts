import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askDoubles, placesOf } from './ask-doubles.ts'
import { judgeCase } from './judge-case.ts'
import { folders, parseCases, readCases } from './read-cases.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'provost-double-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe.each(folders)('the doubles answer as %s', (folder) => {
  test.each(readCases(folder).map((each) => [`${each.file}: ${each.title}`, each] as const))('%s', async (_, each) => {
    const { seen, answered } = await judgeCase(each, placesOf(directory), askDoubles(directory))
    expect(answered).toBe(seen)
  })
})

describe('a case', () => {
  const judge = async (text: string, stdout: string, stderr = '', exitCode = 0) => {
    const [each] = parseCases('a.txt', `# seen here\n## a\n${text}`)
    if (!each) throw new Error('no case')
    return judgeCase(each, { R: '/place' }, async () => ({ stdout, stderr, exitCode }))
  }
  const differs = async (...args: Parameters<typeof judge>) => {
    const { seen, answered } = await judge(...args)
    return seen !== answered
  }

  test('differs by one character, by a line, by a stream and by the exit code', async () => {
    expect(await differs('$ x\na b', 'a b\n')).toBe(false)
    expect(await differs('$ x\na b', 'a  b\n')).toBe(true)
    expect(await differs('$ x\na b', 'a b\nc\n')).toBe(true)
    expect(await differs('$ x\na b', '', 'a b\n')).toBe(true)
    expect(await differs('$ x\na b', 'a b\n', '', 1)).toBe(true)
    expect(await differs('$ x\n2| a\n=1', '', 'a\n', 1)).toBe(false)
  })

  test('has placeholders, which must be the same wherever they stand', async () => {
    expect(await differs('$ x\n<jid> and <jid>', '3 and 3\n')).toBe(false)
    expect(await differs('$ x\n<jid> and <jid>', '3 and 4\n')).toBe(true)
    expect(await differs('$ x\n<jid>', 'three\n')).toBe(true)
    expect(await differs('$ x\n<jid>\n$ x\n<jid>', '3\n')).toBe(false)
    expect(await differs('$ x\n$R/a', '/place/a\n')).toBe(false)
  })

  test('leaves lines out where it says so', async () => {
    expect(await differs('$ x\n...\nb\n...', 'a\nb\nc\n')).toBe(false)
    expect(await differs('$ x\n...\nb', 'a\nb\nc\n')).toBe(true)
  })

  test('shows both texts', async () => {
    expect(await judge('$ x\na\n2| b\n=1', 'c\n')).toEqual({ seen: '$ x\na\n2| b\n=1', answered: '$ x\nc\n=0' })
  })

  test('is refused where a line has no place', () => {
    expect(() => parseCases('a.txt', '## a\n$ x\n')).toThrow('where this was seen')
    expect(() => parseCases('a.txt', '# here\n## a\nx\n')).toThrow('without its command')
  })
})
