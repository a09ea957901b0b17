import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/security.md'), 'utf8')
const threats = page.split(/^## /m).find((section) => section.startsWith('Threats\n')) ?? ''
const rows = threats
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
  .map((cells) => cells.map((cell) => cell.trim()))

describe('the table of threats', () => {
  test('has a threat, a defence and a test in each row', () => {
    const [head, , ...body] = rows
    expect(head).toEqual(['threat', 'defence', 'test'])
    expect(body.length).toBeGreaterThan(0)
    expect(body.filter((cells) => cells.length !== 3 || cells.some((cell) => cell === ''))).toEqual([])
  })

  test('names only tests that are there', () => {
    const named = rows
      .slice(2)
      .map(([, , test = '']) => ({ test, files: [...test.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file) }))
    const lost = named.filter(({ files }) => files.length === 0 || files.some((file) => !existsSync(join(root, file))))
    expect(lost).toEqual([])
  })
})
