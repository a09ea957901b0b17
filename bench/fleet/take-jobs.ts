import { Worker } from 'bullmq'
import { connectRedis, waitForEver } from '#shared/redis/connect-redis.ts'
import { redisKeys } from '#shared/redis/keys.ts'
import { queueName } from '#shared/redis/queues.ts'

// Run as a separate process: a BullMQ worker on the queue for stops of each host. Sends a message when all wait, and each time
// that every one has processed a job.
const [redisUrl = '', prefix = '', ...hosts] = process.argv.slice(2)
const connection = connectRedis(redisUrl, waitForEver)
let processed = 0
const workers = hosts.map((host) => {
  const options = { connection, prefix: redisKeys(prefix).host(host), lockDuration: 5_000, stalledInterval: 2_000 }
  const take = async () => {
    processed += 1
    if (processed % hosts.length === 0) process.send?.('all')
  }
  return new Worker(queueName(host, 'stop'), take, options).on('error', () => undefined)
})
await Promise.all(workers.map((worker) => worker.waitUntilReady()))
process.send?.('ready')
