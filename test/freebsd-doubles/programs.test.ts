import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readCases } from './read-cases.ts'

const runtime = join(import.meta.dirname, '../../worker/host/freebsd')

/** What is passed to `run`, and what a script or a jail's file names by its path; but what runs in a jail is the world's own. */
function programsOf(text: string): string[] {
  const started = text.matchAll(/\brun\(\s*'([a-z0-9-]+)'/g)
  const named = text.matchAll(/(?:\/usr)?\/s?bin\/([a-z0-9-]+)/g)
  return [...started, ...named].map(([, name = '']) => name).filter((name) => name !== 'init')
}

test('every program of the runtime has cases that were seen, or stands among those that were not', () => {
  const sources = readdirSync(runtime, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(ts|sh)$/.test(name))
  const started = new Set(sources.flatMap((name) => programsOf(readFileSync(join(runtime, name), 'utf8'))))
  const said = readCases('seen-on-15.1').flatMap(({ steps }) => steps.filter(({ kind }) => kind === 'said'))
  const seen = new Set(said.map(({ command }) => command.split(' ')[0] ?? ''))
  const list = readFileSync(join(import.meta.dirname, 'not-seen-yet.txt'), 'utf8').matchAll(/^([a-z0-9-]+): \S/gm)
  const unseen = [...list].map(([, name = '']) => name)
  expect([...started].filter((name) => !seen.has(name)).sort()).toEqual(unseen)
})
