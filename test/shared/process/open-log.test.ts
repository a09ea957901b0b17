import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { openLog } from '#shared/process/open-log.ts'

test('an error of Redis is logged without what its command was given', () => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const log = openLog('info', stream as never)
  const error = Object.assign(new Error('WRONGPASS invalid username-password pair'), {
    command: { name: 'auth', args: ['user', 's3cret'] },
    previousErrors: [Object.assign(new Error('x'), { command: { name: 'auth', args: ['s3cret'] } })],
  })
  log.warn({ err: error, work: 'heartbeat' }, 'failed')
  log.child({ part: 'http' }).error(error)
  const logged = lines.map((line) => JSON.parse(line))
  expect(logged.map(({ err }) => [err.message, err.command])).toEqual([
    ['WRONGPASS invalid username-password pair', 'auth'],
    ['WRONGPASS invalid username-password pair', 'auth'],
  ])
  expect(lines.join()).not.toContain('s3cret')
})
