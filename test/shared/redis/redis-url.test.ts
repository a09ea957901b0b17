import { expect, test } from 'vitest'
import { RedisUrl } from '#shared/redis/redis-url.ts'
import { readProducerConfig } from '../../../producer/config.ts'
import { readWorkerConfig } from '../../../worker/config/config.ts'

test.for([
  'redis://127.0.0.1:6379',
  'redis://127.0.0.1',
  'redis://[::1]:6379/2',
  'rediss://user:pa%2Fss%23w%40rd@redis.example.com:6380/0',
  'redis://:p@ss:word!$&*@host',
  'redis://host:1?family=6',
  'redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/main',
  'redis+sentinel://user:pass@[::1]:26379/main/3',
  '127.0.0.1:6379',
  '/var/run/redis.sock',
])('%s is an address of Redis', (url) => {
  expect(RedisUrl.parse(url)).toBe(url)
})

const wrong = [
  'redis://:s3cr/et@host:6379',
  'redis://user:s3cr#et@host:6379/0',
  'redis://user:s3cr?et@host',
  'redis://12:34/s3cret@host',
  'redis://u:s3cret%@host',
  'redis://user:s3c ret@host',
  'redis+sentinel://user:s3cr/et@host:26379/main',
  'redis+sentinel://user:s3cr@et@host:26379/main@x',
  'http://user:s3cret@host',
  'redis://s3cret@',
]

test.for(wrong)('%s is none, and nothing of it is told', (url) => {
  const told: string[] = []
  const environment = { PROVOST_REDIS_URL: url, PROVOST_API_KEY: 'a-key' }
  for (const read of [readProducerConfig, readWorkerConfig])
    try {
      read(environment)
    } catch (error) {
      told.push(String(error))
    }
  expect(told).toEqual([
    expect.stringContaining('PROVOST_REDIS_URL: must be redis://'),
    expect.stringContaining('must be redis://'),
  ])
  expect(told.join()).not.toMatch(/s3c|s3cr|et@|user/)
})
