import { describe, expect, it } from 'vitest'
import { Command, CreateJail } from '#shared/jail.ts'

describe('a request', () => {
  const web1 = { name: 'web1', client: 'acme', world: 'tiny' }

  it('stays as it was sent where it asks for no privilege: the fingerprint of what is repeated is made of it', () => {
    expect(CreateJail.parse(web1)).toEqual(web1)
  })

  it.each([
    [true, {}],
    [true, { setuid: true }],
    [true, { setuid: false }],
    [false, { setuid: 'true' }],
    [false, { setuid: true, mount: true }],
    [false, ['setuid']],
    [false, null],
  ])('is %s with privileges %j', (isRight, privileges) => {
    expect(CreateJail.safeParse({ ...web1, privileges }).success).toBe(isRight)
  })
})

describe('a command', () => {
  it.each([[['/bin/echo', 'a b', '', '"', "'", '$(id)', '-n', '\\', '\t', 'ä']], [['-sh']]])('may be %j', (words) => {
    expect(Command.parse(words)).toEqual(words)
  })

  it.each([[[]], [['']], [['a', 'b\0']], [['a', 'b\nc']], [['a', 'b\rc']], [['a', '\ud800']]])('may not be %j', (words) => {
    expect(Command.safeParse(words).success).toBe(false)
  })

  it('may have words of up to 4,096 bytes', () => {
    const refusal = (word: string) => Command.safeParse(['/bin/sh', word]).error?.issues.map(({ message }) => message)
    expect(refusal('x'.repeat(4_096))).toBeUndefined()
    expect(refusal('é'.repeat(2_048))).toBeUndefined()
    expect(refusal('é'.repeat(2_049))).toEqual(['may have at most 4096 bytes'])
    expect(refusal('x'.repeat(4_097))).toEqual(['may have at most 4096 bytes'])
  })
})
