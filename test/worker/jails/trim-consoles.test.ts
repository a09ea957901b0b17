import { appendFile, mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { trimConsole } from '../../../worker/jails/trim-consoles.ts'

test('a console that grew too large keeps its end, and whoever writes to it goes on', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'provost-console-'))
  const path = join(directory, 'console.log')
  await trimConsole(path)
  const writer = await open(path, 'a')
  await writer.write('small\n')
  await trimConsole(path)
  expect(await readFile(path, 'utf8')).toBe('small\n')

  await appendFile(path, `${'x'.repeat(5 * 1024 ** 2)}\nthe end\n`)
  await trimConsole(path)
  expect((await stat(path)).size).toBe(64 * 1024)
  await writer.write('more\n')
  await writer.close()
  expect((await readFile(path, 'utf8')).endsWith('\nthe end\nmore\n')).toBe(true)
  expect((await stat(path)).size).toBe(64 * 1024 + 5)
  await rm(directory, { recursive: true })
})
