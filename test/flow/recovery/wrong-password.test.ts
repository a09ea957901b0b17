import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectRedis } from '#shared/redis/connect-redis.ts'
import { processFleet, service } from '../../support/fleets/process-fleet.ts'
import { realHost } from '../../support/hosts/real-host.ts'
import { ownRedis } from '../../support/redis/own-redis.ts'
import { until } from '../../support/until.ts'

test.for(['producer', 'worker'] as const)(
  'a %s that Redis refuses ends at once, and says why in one line',
  async (name, context) => {
    const { redis } = await ownRedis(context, ['--save', '', '--requirepass', 'the-right-one'])
    const { port } = new URL(redis.url)
    const right = connectRedis(`redis://:the-right-one@127.0.0.1:${port}`)
    right.on('error', () => undefined)
    await until('Redis to answer', () =>
      right.ping().then(
        () => true,
        () => false,
      ),
    )
    right.disconnect()

    const fleet = await processFleet({ ...redis, url: `redis://me:s3cret-w0rd@127.0.0.1:${port}` })
    const directory = join(fleet.state, 'host')
    await mkdir(directory)
    const host = await realHost({ host: 'host1', directory, bridge: `pvt${fleet.tag}`, network: '10.213.7' })
    fleet.define('worker', service('worker', { ...fleet.env, PROVOST_CONFIG: host.file }))
    const [code] = await once(fleet.start(name), 'exit')
    const text = await fleet.log(name)
    expect([code, text]).toEqual([2, 'Redis refuses the user or the password of PROVOST_REDIS_URL (WRONGPASS).\n'])
    await fleet.close()
  },
)
