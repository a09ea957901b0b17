import { describe, expect, it } from 'vitest'
import { hostsText } from '../../../../worker/host/names/names.ts'
import { usableResolver } from '../../../../worker/host/names/resolver.ts'

describe('the hosts file of a jail', () => {
  const jail = { hostname: 'web1.example.com', addresses: ['10.0.0.10/24', 'fd00:1::10/64'] }

  it('has localhost, and the whole name of the jail before the short one, for each address', () => {
    expect(hostsText(undefined, jail)).toBe(
      '127.0.0.1 localhost\n::1 localhost\n10.0.0.10 web1.example.com web1\nfd00:1::10 web1.example.com web1\n',
    )
    expect(hostsText('', { hostname: 'web1', addresses: ['10.0.0.10/24'] })).toBe(
      '127.0.0.1 localhost\n::1 localhost\n10.0.0.10 web1\n',
    )
  })

  it('keeps what its world has, below', () => {
    const freebsd = '# Host Database\n::1\t\tlocalhost localhost.my.domain\n127.0.0.1\tlocalhost localhost.my.domain\n'
    const own = '10.0.0.10 web1.example.com web1\nfd00:1::10 web1.example.com web1\n'
    expect(hostsText(freebsd, jail)).toBe(own + freebsd)
    expect(hostsText('# 127.0.0.1 localhost\n10.0.0.5 db\n', jail)).toMatch(/^127\.0\.0\.1 localhost\n.*\n10\.0\.0\.5 db\n$/s)
  })
})

describe('the resolver of a host', () => {
  it('is taken without the servers that only the host can reach', () => {
    const text =
      '# made by resolvconf\nsearch example.com\nnameserver 127.0.0.1\nnameserver 192.0.2.53\nnameserver ::1\noptions edns0\n'
    expect(usableResolver(text)).toBe('search example.com\nnameserver 192.0.2.53\noptions edns0\n')
  })

  it.each(['127.0.0.1', '127.0.0.53', '::1', '0.0.0.0', '::', 'fe80::1%em0', 'dns'])('is none with %s alone', (server) => {
    expect(usableResolver(`search example.com\nnameserver ${server}\n`)).toBeUndefined()
  })
})
