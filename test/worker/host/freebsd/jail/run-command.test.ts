import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const script = join(import.meta.dirname, '../../../../../worker/host/freebsd/jail/run-command.sh')

/** The script, with a jexec(8) that runs what it is given where it is. */
describe('what daemon(8) leaves of a command', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'provost-command-'))
    const jexec = join(directory, 'jexec')
    writeFileSync(jexec, '#!/bin/sh\n[ "$1 $2" = "-l 7" ] || exit 99\nshift 2\nexec "$@"\n', { mode: 0o755 })
    writeFileSync(join(directory, 'script'), readFileSync(script, 'utf8').replaceAll('/usr/sbin/jexec', jexec))
  })
  afterEach(() => rm(directory, { recursive: true }))

  const path = (name: string) => join(directory, name)
  const run = (...command: string[]) =>
    promisify(execFile)('/bin/sh', [path('script'), path('console.log'), path('command.end'), '7', ...command])
  const read = (name: string) => readFileSync(path(name), 'utf8')
  const consoles = () => readdirSync(directory).filter((name) => name.startsWith('console'))

  it('has both outputs and the exit code', async () => {
    await run('/bin/sh', '-c', 'echo out; echo err >&2; exit 3')
    expect(read('console.log')).toBe('out\nerr\n')
    expect(read('command.end')).toBe('3\n')
  })

  it('has the exit code of a command that a signal ended', async () => {
    await run('/bin/sh', '-c', 'kill -9 $$')
    expect(read('command.end')).toBe('137\n')
  })

  it('gives the command its arguments as they are', async () => {
    const odd = ['a b', '', "it's", '"', '$(id)', '`id`', '$HOME', '*', '-n', '\\', ';', 'a\tb', 'ä']
    await run('/usr/bin/printf', '[%s]\n', ...odd)
    expect(read('console.log')).toBe(odd.map((each) => `[${each}]\n`).join(''))
  })

  it('keeps at most two files of 512 KiB, with the end of what was printed', async () => {
    await run('/bin/sh', '-c', 'head -c 5000000 /dev/zero; echo the end')
    expect(consoles()).toEqual(['console.log', 'console.log.1'])
    for (const name of consoles()) expect(statSync(path(name)).size).toBeLessThanOrEqual(512 * 1024)
    expect(`${read('console.log.1')}${existsSync(path('console.log')) ? read('console.log') : ''}`).toMatch(/the end\n$/)
  })

  it('takes in what it cannot write, so that neither the jail stands still nor the host is kept busy', async () => {
    const args = [path('script'), path('gone/console.log'), path('command.end'), '7', '/bin/sh', '-c', 'head -c 300000 /dev/zero']
    const { stderr } = await promisify(execFile)('/bin/sh', args, { timeout: 5_000 })
    expect([stderr, read('command.end')]).toEqual(['', '0\n'])
  })

  it('goes on after the command with what that left running', async () => {
    await run('/bin/sh', '-c', '(sleep 0.3; echo later) & echo now')
    expect(read('console.log')).toBe('now\nlater\n')
    expect(read('command.end')).toBe('0\n')
  })
})
