import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CommandRecord, commandRunner, onBehalfOf } from '../../../../worker/host/programs/run-command.ts'

describe('a program that cannot do its work', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'provost-programs-'))
  })
  afterAll(() => rm(directory, { recursive: true }))

  async function program(name: string, script: string): Promise<void> {
    await writeFile(join(directory, name), `#!/bin/sh\n${script}\n`)
    await chmod(join(directory, name), 0o755)
  }
  const run = (name: string, args: string[] = []) => commandRunner({ commandPath: directory, worker: directory })(name, args)

  test('for a full disk is that, with what it said', async () => {
    await program('tidy', 'echo "mkdir /x: no space left on device" >&2; exit 1')
    await expect(run('tidy')).rejects.toMatchObject({
      code: 'disk_full',
      retryable: false,
      message: 'The disk of the host is full: tidy: mkdir /x: no space left on device',
      facts: { exitCode: 1, command: 'tidy' },
    })
  })

  test('is shown without the password of any URL, in its error and in the log of its operation', async () => {
    await program('fetches', 'echo "proxy http://me:s3cret@proxy:3128/ refuses $1" >&2; exit 1')
    const records: CommandRecord[] = []
    const url = 'https://me:s3cr@t@mirror.example.com/x'
    const work = onBehalfOf(
      'o1',
      (record) => void records.push(record),
      () => run('fetches', [url]),
    )
    const said = 'proxy http://***@proxy:3128/ refuses https://***@mirror.example.com/x'
    const command = "fetches 'https://***@mirror.example.com/x'"
    await expect(work).rejects.toMatchObject({
      message: `fetches ended with exit code 1: ${said}`,
      facts: { command, logTail: `${said}\n` },
    })
    expect(records).toMatchObject([{ command, output: `${said}\n`, exitCode: 1 }])
  })

  test('since it gets no process may be tried again', async () => {
    await program('forks', 'echo "sh: 1: Cannot fork" >&2; exit 2')
    await expect(run('forks')).rejects.toMatchObject({ code: 'host_exhausted', retryable: true, facts: { exitCode: 2 } })
  })

  test.skipIf(process.platform !== 'linux')('since no process can be made for it may be tried again', () => {
    const { stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'without-processes.ts')], {
      encoding: 'utf8',
    })
    expect({ stderr, answer: JSON.parse(stdout || 'null') }).toEqual({
      stderr: '',
      answer: {
        code: 'host_exhausted',
        message: 'The host has no room for another process, its memory or its files: true: EAGAIN',
        retryable: true,
      },
    })
  })
})
