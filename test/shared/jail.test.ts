import { describe, expect, it } from 'vitest'
import { Command } from '#shared/jail.ts'

describe('a command', () => {
  it.each([[['/bin/echo', 'a b', '', '"', "'", '$(id)', '-n', '\\', '\t', 'ä']], [['-sh']]])('may be %j', (words) => {
    expect(Command.parse(words)).toEqual(words)
  })

  it.each([[[]], [['']], [['a', 'b\0']], [['a', 'b\nc']], [['a', 'b\rc']], [['a', '\ud800']], [['a', 'x'.repeat(1025)]]])(
    'may not be %j',
    (words) => {
      expect(Command.safeParse(words).success).toBe(false)
    },
  )
})
