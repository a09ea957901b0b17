import type { Redis } from 'ioredis'

/** Without these an accepted request could be lost: when Redis is killed, or when it is full and throws keys away. */
const wanted = { appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' }

/** What is wrong with Redis, as sentences; none when accepted requests are safe in it. */
export async function redisFaults(redis: Redis): Promise<string[]> {
  try {
    const found = await Promise.all(Object.keys(wanted).map((name) => redis.config('GET', name) as Promise<string[]>))
    const settings = Object.fromEntries(found.map(([name, value]) => [name, value]))
    return Object.entries(wanted)
      .filter(([name, value]) => settings[name] !== value)
      .map(([name, value]) => `Redis has ${name} ${settings[name] ?? 'hidden'}; it must be ${value}`)
  } catch (error) {
    return [`Redis does not answer: ${error instanceof Error ? error.message : error}`]
  }
}
