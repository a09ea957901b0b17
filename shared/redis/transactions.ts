import { type ChainableCommander, Redis } from 'ioredis'

/**
 * A connection whose transactions throw the error of a command in them: ioredis only lists it among the answers, where BullMQ
 * does not look at each.
 */
export class StrictRedis extends Redis {
  override multi(...args: unknown[]): never {
    const transaction = (super.multi as (...args: unknown[]) => ChainableCommander).apply(this, args)
    const exec = transaction.exec.bind(transaction)
    transaction.exec = async () => {
      const answers = await exec()
      for (const [error] of answers ?? []) if (error) throw error
      return answers
    }
    // Its overloads are those of ioredis.
    return transaction as never
  }
}

/** Returns the answers of a pipeline. @throws the first error among them, which `exec` only lists */
export async function answersOf(pipeline: ChainableCommander): Promise<unknown[]> {
  return ((await pipeline.exec()) ?? []).map(([error, answer]) => {
    if (error) throw error
    return answer
  })
}

/**
 * Whether Redis has forgotten a script (`SCRIPT FLUSH`, another primary behind the same address, Redis 8 beyond 500 of them).
 * ioredis sends it again by itself, but not in a transaction, where this is the answer of EXEC.
 */
export const isForgottenScript = (error: unknown): boolean => error instanceof Error && error.message.startsWith('NOSCRIPT')

/** Makes Redis know all scripts that a connection has, BullMQ's too: either all of them or none. */
export async function loadScripts(redis: Redis): Promise<void> {
  const transaction = redis.multi()
  for (const { lua } of Object.values(redis.scriptsSet as Record<string, { lua: string }>)) transaction.script('LOAD', lua)
  await transaction.exec()
}
