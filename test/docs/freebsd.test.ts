import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { test } from '../worker/host/freebsd/host-test.ts'
import { scenes } from './freebsd-scenes.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/freebsd.md'), 'utf8')
const isReason = (line = '') => /^\s*#/.test(line)
const programOf = (line = '') => line.trim().split(' ')[0]

/** The named blocks of the page. */
const blocks = [...page.matchAll(/^```(sh|text) ([a-z0-9-]+)\n(.*?)^```$/gms)].map(([, kind, name = '', text = '']) => ({
  kind,
  name,
  lines: text.trimEnd().split('\n'),
}))
const commandsOf = (name: string) => blocks.find((block) => block.name === name)?.lines.filter((line) => !isReason(line)) ?? []
/** What only looks does so at everything at once. */
const inNoOrder = (name: string, lines: string[]) => (/^(check|prove)-/.test(name) ? lines.toSorted() : lines)

describe('docs/freebsd.md', () => {
  test('has a block for each of these and no other', () => {
    expect(blocks.map(({ name }) => name).sort()).toEqual(Object.keys(scenes).sort())
  })

  test.for(Object.entries(scenes))('says what is really run: %s', async ([name, scene], { open }) => {
    expect(inNoOrder(name, await scene(open))).toEqual(inNoOrder(name, commandsOf(name)))
  })

  test('counts the programs that an operation starts, and those that list all of the host to learn of one jail', () => {
    const rows = [...page.matchAll(/^\| `([a-z0-9-]+)` \| (\d+) \| (\d+) \| (\d+) \|$/gm)]
    expect(rows.length).toBeGreaterThan(8)
    for (const [, name = '', ...said] of rows) {
      const lines = commandsOf(name)
      const counted = [
        lines.filter((line) => !/^\s/.test(line)),
        lines.filter((line) => /^\s/.test(line)),
        lines.filter(listsAll),
      ]
      expect([name, ...said.map(Number)]).toEqual([name, ...counted.map(({ length }) => length)])
    }
  })

  test('says why of each program, with the page of its manual', () => {
    const bare = blocks
      .filter(({ kind }) => kind === 'sh')
      .flatMap(({ name, lines }) =>
        lines
          .filter((line, i) => !isReason(line) && !isReason(lines[i - 1]) && !isRelated(lines[i - 1], line))
          .map((line) => `${name}: ${line}`),
      )
    expect(bare).toEqual([])
    const sourceless = blocks.flatMap(({ lines }) => lines.filter((line) => isReason(line) && !/\(\d\)/.test(line)))
    expect(sourceless).toEqual([])
  })
})

/** One reason does for several of a program, for a question and what is done with its answer, and for a script's own commands. */
function isRelated(before: string | undefined, line: string): boolean {
  const pair = `${programOf(before)} ${programOf(line)}`
  return programOf(before) === programOf(line) || ['sysctl cpuset', 'tar tar', 'sh ifconfig'].includes(pair)
}

function listsAll(line: string): boolean {
  const command = line.trim()
  return ['ifconfig -a', 'mount --libxo json -p'].includes(command) || (command.startsWith('jls ') && !command.includes(' -j '))
}
