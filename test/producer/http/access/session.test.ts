import { describe, expect, test } from 'vitest'
import { makeSessions, readSession, sessionSeconds } from '../../../../producer/http/access/session.ts'

describe('a session', () => {
  test('is known to every producer with the same key, and to none with another', () => {
    const session = makeSessions('one key').open()
    expect(makeSessions('one key').isOpen(session)).toBe(true)
    expect(makeSessions('another key').isOpen(session)).toBe(false)
  })

  test('ends after 12 hours', () => {
    let now = Date.parse('2026-01-01T00:00:00Z')
    const sessions = makeSessions('a key', () => now)
    const session = sessions.open()
    now += sessionSeconds * 1_000 - 1
    expect(sessions.isOpen(session)).toBe(true)
    now += 1
    expect(sessions.isOpen(session)).toBe(false)
  })

  test('is found among other cookies', () => {
    expect(readSession('a=b; provost_session=1.x; c=d')).toBe('1.x')
    expect(readSession('not_provost_session=1.x')).toBe(undefined)
    expect(readSession(undefined)).toBe(undefined)
  })
})
