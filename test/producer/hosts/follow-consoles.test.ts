import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { makeConsoles } from '../../../producer/hosts/follow-consoles.ts'
import type { Store } from '../../../producer/records/store.ts'
import { makeSecrets } from '../../../producer/secrets/secrets.ts'
import { until } from '../../support/until.ts'

const jail = { name: 'web1', host: 'host1', provision: '01936c3e-0000-7000-8000-000000000001' }
const limits = { everyMs: 20, mostMs: 80, mostFollowers: 50 }
type Notice = { request: string; mostBytes: number; after?: { file: number; offset: number } }

/** A host whose jail prints what is appended to `text`. */
function openHost() {
  const host = { text: 'héllo\n', isThere: true, answers: true, asked: [] as number[], looked: [] as number[], jail: true }
  const answers = new Map<string, string>()
  const redis = {
    async publish(_channel: string, message: string) {
      host.asked.push(performance.now())
      const { request, mostBytes, after } = JSON.parse(message) as Notice
      const bytes = Buffer.from(host.text)
      const part = bytes.subarray(Math.max(after?.offset ?? 0, bytes.length - mostBytes))
      const answer = { text: `${part}`, mark: { file: 1, offset: bytes.length }, skipped: false }
      if (host.answers) answers.set(request, JSON.stringify(answer))
      return host.isThere ? 1 : 0
    },
    async getdel(request: string) {
      host.looked.push(performance.now())
      return answers.get(request) ?? null
    },
  }
  const keys = { notices: () => 'notices', console: (_host: string, request: string) => request }
  const records = { jail: async () => (host.jail ? jail : undefined) }
  return { host, consoles: makeConsoles({ redis, keys, records, secrets: makeSecrets() } as unknown as Store, limits) }
}

function hear({ consoles }: ReturnType<typeof openHost>, mostBytes = 1_000) {
  const ending = new AbortController()
  const heard = { text: '', hasEnded: false, end: () => ending.abort() }
  const opened = consoles.follow(jail, { mostBytes, signal: ending.signal })
  const done = opened.then(async (pieces) => {
    for await (const piece of pieces) heard.text += piece
    heard.hasEnded = true
  })
  done.catch(() => ending.abort())
  return Object.assign(heard, { done })
}

it('asks a host once for all who follow a jail, and tells each of them all', async () => {
  const opened = openHost()
  const { host } = opened
  const early = Array.from({ length: 40 }, () => hear(opened))
  await until('all to have heard it', () => early.every(({ text }) => text === 'héllo\n'))
  expect(host.asked.length).toBeLessThanOrEqual(2)
  const late: ReturnType<typeof hear>[] = []
  for (let i = 0; i < 10; i += 1) {
    host.text += `line ${i}\n`
    const before = host.asked.length
    late.push(hear(opened, 4))
    await until('another look', () => host.asked.length > before)
  }
  await until('all', () => [...early, ...late].every(({ text }) => text.endsWith('line 9\n')))
  for (const { text } of early) expect(text).toBe(host.text)
  for (const { text } of late) expect(host.text.endsWith(text)).toBe(true)
  await expect(hear(opened).done).rejects.toMatchObject({
    code: 'too_many_followers',
    status: 429,
    facts: { retryAfter: 10 },
  })
  late[0]?.end()
  expect(await Promise.race([hear(opened, 1).done, sleep(50)])).toBeUndefined()
  host.jail = false
  await until('the end of all', () => early.every(({ hasEnded }) => hasEnded))
})

it('asks nothing once nobody follows, and anew when somebody does', async () => {
  const opened = openHost()
  const { host } = opened
  const first = hear(opened)
  await until('its words', () => first.text !== '')
  first.end()
  await first.done
  await sleep(4 * limits.everyMs)
  const before = host.asked.length
  await sleep(4 * limits.everyMs)
  expect(host.asked.length).toBe(before)
  host.text += 'more\n'
  const second = hear(opened)
  await until('all of it', () => second.text === host.text)
  second.end()
})

it('asks a host that is away ever more seldom, refuses who comes then, and goes on when it is back', async () => {
  const opened = openHost()
  const { host } = opened
  const heard = hear(opened)
  await until('its words', () => heard.text !== '')
  host.isThere = false
  await until('it to be asked seldom', () => {
    const latest = host.asked.slice(-4)
    return latest.length === 4 && latest.every((at, i) => i === 0 || at - (latest[i - 1] ?? 0) >= limits.mostMs - 5)
  })
  await expect(hear(opened).done).rejects.toMatchObject({ code: 'host_down' })
  host.isThere = true
  host.text += 'more\n'
  await until('the rest', () => heard.text === host.text)
  heard.end()
})

it('looks ever more seldom for the answer of a host that is silent', async () => {
  const opened = openHost()
  opened.host.answers = false
  await expect(hear(opened).done).rejects.toMatchObject({ code: 'host_silent' })
  expect(opened.host.looked.length).toBeLessThan(25)
})
