import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'

const directory = join(import.meta.dirname, '../support/freebsd')

it('the doubles know nothing of the worker that they are to test', () => {
  const doubles = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  expect(doubles.length).toBeGreaterThan(8)
  const foreign = doubles.flatMap((name) =>
    [...readFileSync(join(directory, name), 'utf8').matchAll(/ from '([^']+)'/g)]
      .map(([, from = '']) => from)
      .filter((from) => !from.startsWith('node:') && from !== '#shared/errors.ts')
      .filter((from) => !join(directory, dirname(name), from).startsWith(`${directory}/`))
      .map((from) => `${name}: ${from}`),
  )
  expect(foreign).toEqual([])
})
