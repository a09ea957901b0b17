import { expect, test } from 'vitest'
import { startFleet } from '../../support/fleets/fleet.ts'
import { storeOf } from '../../support/redis/open-store.ts'
import { ownRedis } from '../../support/redis/own-redis.ts'
import { durable } from '../../support/redis/redis-server.ts'
import { until } from '../../support/until.ts'

const password = 'pa/ss#w@rd%'

test.for([
  ['+@all -config', ['appendfsync always'], /^whether Redis has .* cannot be seen \(CONFIG: NOPERM /],
  [
    '+@all -@admin -@dangerous',
    ['appendonly yes', 'appendfsync always', 'maxmemory-policy noeviction'],
    /^whether Redis has .* cannot be seen \(CONFIG: NOPERM .*; INFO: NOPERM /,
  ],
] as const)(
  'a fleet whose user of Redis has %s is ready, and says what it cannot see',
  async ([rules, unseen, form], context) => {
    const { redis } = await ownRedis(context, durable)
    const { redis: admin } = storeOf(redis)
    await until('Redis to answer', () => admin.ping().catch(() => undefined))
    await admin.call('ACL', 'SETUSER', 'provost', 'on', `>${password}`, '~*', '&*', ...rules.split(' '))
    const url = redis.url.replace('//', `//provost:${encodeURIComponent(password)}@`)
    const fleet = await startFleet({ ...redis, url })
    expect((await fleet.ended(await fleet.ask('web1'))).status).toBe('succeeded')
    expect((await fleet.ended(await fleet.call('DELETE', '/v1/jails/web1'))).status).toBe('succeeded')
    const readiness = await fleet.call('GET', '/readyz')
    expect([readiness.status, readiness.body.reasons]).toEqual([200, []])
    expect(readiness.body.warnings.map((warning: string) => warning.split(' ').slice(3, 5).join(' '))).toEqual(unseen)
    for (const warning of readiness.body.warnings) expect(warning).toMatch(form)

    // What can be seen is still judged.
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
    const isSeen = !unseen.includes('maxmemory-policy noeviction' as never)
    expect((await fleet.call('GET', '/readyz')).body.reasons).toEqual(
      isSeen ? ['Redis has maxmemory-policy allkeys-lru; it must be noeviction'] : [],
    )
    await fleet.stop()
  },
)
