import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { readConfigFile } from '#shared/process/read-config.ts'
import { readWorkerConfig } from '../../../worker/config/config.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'provost-config-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

function file(text: string): string {
  const path = join(directory, 'config.yaml')
  writeFileSync(path, text)
  return path
}

describe('a configuration file', () => {
  const Schema = z.strictObject({ name: z.string(), list: z.array(z.strictObject({ size: z.number() })) })

  test('is refused with the line and the path of every fault at once', () => {
    const path = file('name: 5\n\nlist:\n  - size: 1\n  - size: big\n    color: red\n  - {}\nextra: 1\n')
    expect(() => readConfigFile(Schema, path)).toThrow(
      [
        `${path} is not right:`,
        '  line 1, name: Invalid input: expected string, received number',
        '  line 5, list.1.size: Invalid input: expected number, received string',
        '  line 6, list.1.color: is not known',
        '  line 7, list.2.size: is required',
        '  line 8, extra: is not known',
      ].join('\n'),
    )
  })

  test('that does not exist, or is not YAML, is named', () => {
    expect(() => readConfigFile(Schema, join(directory, 'nothing.yaml'))).toThrow('nothing.yaml does not exist')
    expect(() => readConfigFile(Schema, file('name: "open\nlist: ['))).toThrow('is not YAML')
  })

  test('of a worker is refused in the same way', () => {
    const path = file(
      [
        'host: H1',
        'root: relative',
        'network:',
        '  bridge: br0',
        '  pools: [{ name: a, cidr: 10.0.0.0/24, gateway: 10.0.1.1 }]',
        'capacity: { jails: 0, memory: 64G, cpu: 4 }',
        'defaults: { memory: 64M, cpu: 0.1, processes: 10 }',
        'worlds: [{ name: w, method: tree }]',
      ].join('\n'),
    )
    expect(() => readWorkerConfig({ PROVOST_CONFIG: path })).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(
          /line 1, host: .*\n\s+line 2, root: .*\n\s+line 5, network\.pools\.0\.gateway: .*\n\s+line 6, capacity\.jails: .*\n\s+line 8, worlds\.0\.path: is required/,
        ),
      }),
    )
  })
})
