import { pino } from 'pino'
import { runService } from '#shared/process/run-service.ts'
import { connectRedis, waitForEver } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { readProducerConfig } from '../../../../producer/config.ts'
import { openRecords } from '../../../../producer/records/records.ts'
import { openSecrets } from '../../../../producer/secrets/secrets.ts'
import { startProducer } from '../../../../producer/start-producer.ts'

type Entry = [id: string, fields: string[]]

/** A producer with a planted fault: the addresses of a jail are free as soon as its destroy was accepted. */
const log = pino({ level: 'info' })
await runService(async () => {
  const config = readProducerConfig(process.env)
  const keys = redisKeys(config.redisPrefix)
  const redis = connectRedis(config.redisUrl, waitForEver)
  const reader = connectRedis(config.redisUrl, waitForEver)
  for (const connection of [redis, reader]) connection.on('error', () => undefined)
  const records = openRecords(redis, keys)

  const freed = new Set<string>()

  async function freeAtAcceptance(id: string): Promise<void> {
    const operation = await records.operation(id)
    if (operation?.kind !== 'destroy' || freed.has(id)) return
    freed.add(id)
    const jail = await records.jailOf(operation)
    for (const [address, , cidr] of jail?.leases ?? [])
      if (await redis.hdel(keys.leases, address))
        await redis.multi().decr(`${keys.leases}:count`).lpush(keys.returned(cidr), address).exec()
  }

  async function follow(): Promise<void> {
    let position = '0-0'
    for (;;) {
      const answer = await reader.xread('BLOCK', 1_000, 'STREAMS', keys.events, position).catch(() => null)
      for (const [id, fields] of (answer?.[0]?.[1] ?? []) as Entry[]) {
        position = id
        if (fields[1] === 'operation') await freeAtAcceptance(fields[3] ?? '').catch(() => undefined)
      }
    }
  }
  void follow()
  return startProducer(config, log, openSecrets(config.secrets))
}, log)
