import type { Redis } from 'ioredis'

/** Without these an accepted request could be lost: when Redis is killed, or when it is full and evicts keys. */
const wanted = { appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' }

/** Returns what is wrong with Redis, as sentences; empty if accepted requests are safe in it. */
export async function redisFaults(redis: Redis): Promise<string[]> {
  try {
    const answers = await Promise.all(Object.keys(wanted).map((name) => redis.config('GET', name) as Promise<string[]>))
    const settings = Object.fromEntries(answers.map(([name, value]) => [name, value]))
    return Object.entries(wanted)
      .filter(([name, value]) => settings[name] !== value)
      .map(([name, value]) => `Redis has ${name} ${settings[name] ?? 'hidden'}; it must be ${value}`)
  } catch (error) {
    return [`Redis does not answer: ${error instanceof Error ? error.message : error}`]
  }
}
