import type { Redis } from 'ioredis'

/** Without these an accepted request could be lost: when Redis is killed, or when it is full and evicts keys. */
const wanted = { appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' }

/** What is wrong with Redis, and what of it cannot be seen, as sentences. */
type RedisCheck = { faults: string[]; unseen: string[] }

type Settings = Record<string, string | undefined>

/** Checks whether accepted requests are safe in Redis. A managed one may refuse CONFIG, and INFO, too. */
export async function checkRedis(redis: Redis): Promise<RedisCheck> {
  const refusals: string[] = []
  const ask = async (command: string, read: () => Promise<Settings>) => {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof Error) || !/^(NOPERM|ERR)\b/.test(error.message)) throw error
      refusals.push(`${command}: ${error.message}`)
      return {}
    }
  }
  try {
    const configured = await ask('CONFIG', () => readConfig(redis))
    const isWhole = Object.keys(wanted).every((name) => configured[name] !== undefined)
    const settings: Settings = { ...(isWhole ? {} : await ask('INFO', () => readInfo(redis))), ...configured }
    const refused = refusals.length === 0 ? '' : ` (${refusals.join('; ')})`
    const all = Object.entries(wanted)
    return {
      faults: all
        .filter(([name, value]) => settings[name] !== undefined && settings[name] !== value)
        .map(([name, value]) => `Redis has ${name} ${settings[name]}; it must be ${value}`),
      unseen: all
        .filter(([name]) => settings[name] === undefined)
        .map(([name, value]) => `whether Redis has ${name} ${value} cannot be seen${refused}`),
    }
  } catch (error) {
    return { faults: [`Redis does not answer: ${error instanceof Error ? error.message : error}`], unseen: [] }
  }
}

async function readConfig(redis: Redis): Promise<Settings> {
  const answers = await Promise.all(Object.keys(wanted).map((name) => redis.config('GET', name) as Promise<string[]>))
  return Object.fromEntries(answers.flatMap(([name, value]) => (name === undefined ? [] : [[name, value]])))
}

/** INFO has no `appendfsync`. */
async function readInfo(redis: Redis): Promise<Settings> {
  const info = `${await redis.info('persistence')}\n${await redis.info('memory')}`
  const field = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
  const isAppending = field('aof_enabled')
  return {
    appendonly: isAppending && (isAppending === '1' ? 'yes' : 'no'),
    'maxmemory-policy': field('maxmemory_policy'),
  }
}
