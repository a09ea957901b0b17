import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as pathOf } from 'node:path'
import { expect } from 'vitest'
import { makeHostOf } from '#shared/signing/certificate.ts'
import { readIdentity } from '../../../worker/identity/identity.ts'
import { join } from '../../../worker/identity/join.ts'
import { test } from '../../support/fleets/fleet-test.ts'
import { testSecrets } from '../../support/fleets/test-producer.ts'
import { storeOf } from '../../support/redis/open-store.ts'

test('a host joins with a token, once, and is known by its key from then on', async ({ fleet, redis }) => {
  const directory = await mkdtemp(pathOf(tmpdir(), 'provost-join-'))
  const file = pathOf(directory, 'identity.json')
  try {
    const invited = await fleet.call('POST', '/v1/hosts/new1/invite')
    expect(invited).toMatchObject({ status: 201, body: { token: expect.stringMatching(/^new1~/) } })
    const { token } = invited.body
    // Redis has neither the token nor anything that it could be made from.
    const { redis: connection, keys } = storeOf(redis)
    expect((await connection.keys(`${keys.invitation('')}*`)).filter((key) => key.includes(token))).toEqual([])
    await expect(join(fleet.url, token, 'other', file)).rejects.toThrow('The token is for host new1, and this is other')

    const again = (await fleet.call('POST', '/v1/hosts/new1/invite')).body.token
    await join(fleet.url, again, 'new1', file)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readFile(file, 'utf8')).not.toContain(again)
    const identity = readIdentity(file, 'new1')
    const hostOf = makeHostOf(() => testSecrets.publicKeys)
    expect(hostOf('report', identity?.sign('report', { type: 'enrol' }))).toBe('new1')
    await expect(join(fleet.url, again, 'new1', file)).rejects.toThrow(
      'The join token is not one of this fleet, has expired, or was used.',
    )
    // Who writes Redis cannot invite: the name of the key is a MAC.
    await connection.set(keys.invitation('forged'), '1')
    await expect(join(fleet.url, 'new2~forged', 'new2', file)).rejects.toThrow('The join token is not one of this fleet')
    expect(() => readIdentity(file, 'new2')).toThrow('it is of host new1')
  } finally {
    await rm(directory, { recursive: true })
  }
})
