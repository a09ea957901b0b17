import { describe, expect, test } from 'vitest'
import { isSessionOpen, openSession, readSession, sessionSeconds } from '../../../../producer/http/access/session.ts'

describe('a session', () => {
  test('is known to every producer with the same key, and to none with another', () => {
    const session = openSession('one key')
    expect(isSessionOpen(session, 'one key')).toBe(true)
    expect(isSessionOpen(session, 'another key')).toBe(false)
  })

  test('is one of many: each has a number of its own, which its signature holds', () => {
    const [a, b] = [openSession('k', 0), openSession('k', 0)]
    expect(a).not.toBe(b)
    const [end, , signature] = a.split('.')
    expect(isSessionOpen([end, b.split('.')[1], signature].join('.'), 'k', 0)).toBe(false)
  })

  test('ends after 12 hours', () => {
    const nowMs = Date.parse('2026-01-01T00:00:00Z')
    const session = openSession('a key', nowMs)
    expect(isSessionOpen(session, 'a key', nowMs + sessionSeconds * 1_000 - 1)).toBe(true)
    expect(isSessionOpen(session, 'a key', nowMs + sessionSeconds * 1_000)).toBe(false)
  })

  test('is found among other cookies', () => {
    expect(readSession('a=b; provost_session=1.x; c=d')).toBe('1.x')
    expect(readSession('not_provost_session=1.x')).toBe(undefined)
    expect(readSession(undefined)).toBe(undefined)
  })
})
