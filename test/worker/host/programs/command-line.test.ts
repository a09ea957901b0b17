import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { commandLine } from '../../../../worker/host/programs/command-line.ts'

test('a command is one line, which a shell reads as the same words', () => {
  const words = ['printf', '%s\\0', '-n', 'a b', '', '"', "it's", '$HOME', 'two\nlines\\n', "it's\ta\u001b[31m\u0085\r", '*', 'é']
  const line = commandLine(words)
  expect(line).not.toMatch(/\p{Cc}/u)
  expect(commandLine(['runc', 'exec', 'web1', '/bin/echo', 'a b'])).toBe("runc exec web1 /bin/echo 'a b'")
  const { stdout } = spawnSync('bash', ['-c', line], { encoding: 'utf8' })
  expect(stdout.split('\0')).toEqual([...words.slice(2), ''])
})

test('it has no credentials, and of a very long word the beginning', () => {
  expect(commandLine(['fetch', 'http://user:secret@mirror/a b'])).toBe("fetch 'http://***@mirror/a b'")
  const line = commandLine(['sh', '-c', 'x'.repeat(5_000)])
  expect(line.length).toBeLessThan(1_100)
})
