import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const directory = join(import.meta.dirname, '../support/freebsd')
/** Builds a runtime on the doubles, and is none of them. */
const harness = ['trial-freebsd.ts']

it('the doubles know nothing of the worker that they are to test', () => {
  const doubles = readdirSync(directory).filter((name) => !harness.includes(name))
  expect(doubles.length).toBeGreaterThan(8)
  const imports = doubles.flatMap((name) =>
    [...readFileSync(join(directory, name), 'utf8').matchAll(/ from '([^']+)'/g)].map(([, from = '']) => `${name}: ${from}`),
  )
  expect(imports.filter((line) => !/: (node:[a-z_/]+|\.\/[a-z-]+\.ts|#shared\/errors\.ts)$/.test(line))).toEqual([])
})
