import { expect, test } from 'vitest'
import { hostLines } from '../../../cli/hosts/show.ts'
import { makeHost } from '../../support/samples/host.ts'

const now = Date.parse('2026-01-01T00:00:02.000Z')
const since = '2026-01-01T00:00:01.000Z'

test('has all facts of a host, its worlds, its pools and its drift with what to do', () => {
  const host = makeHost({
    state: 'draining',
    drift: 2,
    labels: { rack: 'r7' },
    worlds: [
      { name: 'busybox', digest: 'a'.repeat(64), method: 'tree', state: 'ready', prefill: true },
      { name: 'debian-12', digest: 'b'.repeat(64), method: 'debootstrap', state: 'filling', prefill: false, percent: 40 },
      { name: 'app', digest: 'c'.repeat(64), method: 'archive', state: 'failed', prefill: false, error: 'wrong sha256' },
    ],
  })
  const drifts = [
    { jail: 'web1', found: 'stopped' as const, reason: 'its first process ended', since },
    { jail: 'old_shop', found: 'orphan' as const, reason: 'no record of it', since },
  ]
  expect(hostLines({ ...host, drifts }, now).join('\n')).toBe(`host        host1
state       draining
runtime     linux
platform    linux/amd64
seen        2 s ago
jails       3 of 200 promised, 3 on it
memory      192M of 64G promised
cpu         0.3 of 16 cores promised
slots       0 of 1 fills, 1 of 2 builds, 2 of 2 starts
load        0.50
operations  4 open
versions    provost 0.1.0, node 24.0.0, Linux 6.1, plans 1
label       rack=r7

WORLD      METHOD       STATE        PREFILL  DIGEST
busybox    tree         ready        yes      aaaaaaaaaaaa
debian-12  debootstrap  filling 40%  no       bbbbbbbbbbbb
app        archive      failed       no       cccccccccccc  wrong sha256

POOL  CIDR         GATEWAY   EXCLUDED
main  10.0.0.0/22  10.0.0.1  10.0.0.2-10.0.0.9

DRIFT     FOUND    SINCE                     WHY
web1      stopped  2026-01-01T00:00:01.000Z  its first process ended
old_shop  orphan   2026-01-01T00:00:01.000Z  no record of it
To take orphans into the fleet: provost hosts adopt host1. To destroy them: provost hosts clean host1`)
})

test('has no drift where there is none, and shows why a host is down', () => {
  const lines = hostLines({ ...makeHost({ state: 'down', reason: 'silent' }), drifts: [] }, now)
  expect(lines).toContain('state       down: silent')
  expect(lines.join('\n')).not.toContain('DRIFT')
})
