import { describe, expect, it } from 'vitest'
import { chooseMirror, parseSources, settingsOf } from '../../../../worker/worlds/methods/apt-settings.ts'

const stanzas = `Types: deb deb-src
# a comment
URIs: http://mirror.example.com/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: http://sources.example.com/debian
Suites: trixie

Enabled: no
Types: deb
URIs: http://off.example.com/debian
Suites: trixie

Types: deb
URIs: https://a.example.com/x http://b.example.com/x
Suites:
 one
 two
`

const lines = `# deb http://commented.example.com/debian bookworm main
deb-src http://sources.example.com/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] https://packages.example.com/apt tool main
deb http://ubuntu.example.com/ubuntu/ jammy main universe # why
deb cdrom:[Debian]/ bookworm main
`

/** As debootstrap's scripts are linked: one for a whole distribution. */
const scriptOf = (suite: string) => ({ bookworm: 'sid', trixie: 'sid', bullseye: 'sid', jammy: 'gutsy', noble: 'gutsy' })[suite]

describe('apt sources', () => {
  it('are read from deb822 stanzas, without those switched off and those of sources', () => {
    expect(parseSources('debian.sources', stanzas)).toEqual([
      { uri: 'http://mirror.example.com/debian', suites: ['bookworm', 'bookworm-updates'] },
      { uri: 'https://a.example.com/x', suites: ['one', 'two'] },
      { uri: 'http://b.example.com/x', suites: ['one', 'two'] },
    ])
  })

  it('are read from lines, with options, without comments and other kinds', () => {
    expect(parseSources('sources.list', lines)).toEqual([
      { uri: 'https://packages.example.com/apt', suites: ['tool'] },
      { uri: 'http://ubuntu.example.com/ubuntu', suites: ['jammy'] },
    ])
  })
})

describe('the mirror of a suite', () => {
  const sources = [...parseSources('sources.list', lines), ...parseSources('debian.sources', stanzas)]

  it('is the one that apt has this suite from', () => {
    expect(chooseMirror(sources, 'bookworm', scriptOf)).toBe('http://mirror.example.com/debian')
    expect(chooseMirror(sources, 'jammy', scriptOf)).toBe('http://ubuntu.example.com/ubuntu')
  })

  it('is otherwise one of the same distribution, and never one of another', () => {
    expect(chooseMirror(sources, 'trixie', scriptOf)).toBe('http://mirror.example.com/debian')
    expect(chooseMirror(parseSources('sources.list', lines), 'trixie', scriptOf)).toBeUndefined()
    expect(chooseMirror(sources, 'unheard-of', scriptOf)).toBeUndefined()
  })
})

describe("apt's ways to its mirrors", () => {
  it('become settings of wget', () => {
    const dump = `Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example.com:3142";
Acquire::https::Proxy "DIRECT";
Acquire::https::CAInfo "/etc/ssl/own.pem";
`
    expect(settingsOf(dump)).toEqual([
      'http_proxy = http://proxy.example.com:3142',
      'use_proxy = on',
      'ca_certificate = /etc/ssl/own.pem',
    ])
    expect(settingsOf('Acquire "";\n')).toEqual([])
  })
})
