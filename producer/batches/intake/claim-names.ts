import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { ProvostError } from '#shared/errors.ts'
import type { RedisKeys } from '#shared/redis/keys.ts'
import type { JailRecord, Records } from '../../records/records.ts'
import { BatchRow } from '../files/batch-row.ts'
import { isAsAsked, isLost } from '../same-spec.ts'
import type { Faults } from './faults.ts'
import type { NumberedRow } from './validate-rows.ts'

export type Claims = ReturnType<typeof makeClaims>

type Deps = { redis: Redis; keys: RedisKeys; records: Records }
type Claimed = ['lost'] | ['done', jails: string[], claimed: [name: string, batch: string][]]
type Defined = Redis & { claimNames(claims: string, mark: string, input: string): Promise<Claimed> }

/** A row whose name can be had, and the jail that is there already as the row asks. */
export type NamedRow = NumberedRow & { jail?: JailRecord }

const givenBackAtOnce = 1_000
const giveBackScript = `
  for i = 2, #ARGV do
    if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
  end`

/** Claims the names of batches: until its jail is made, nobody else gets a name. */
export function makeClaims({ redis, keys, records }: Deps) {
  const lua = readFileSync(new URL('../../records/scripts/claim-names.lua', import.meta.url), 'utf8')
  redis.defineCommand('claimNames', { numberOfKeys: 2, lua })

  async function ask(batch: string, names: string[], dryRun: boolean): Promise<Claimed> {
    const starts = { jails: keys.jail(''), batches: keys.batch(''), marks: keys.batchMark('') }
    const input = JSON.stringify({ batch, names, dryRun, ...starts })
    return (redis as Defined).claimNames(keys.claims, keys.batchMark(batch), input)
  }

  async function giveBack(batch: string, names: string[]): Promise<void> {
    for (let from = 0; from < names.length; from += givenBackAtOnce)
      await redis.eval(giveBackScript, 1, keys.claims, batch, ...names.slice(from, from + givenBackAtOnce))
  }

  return {
    /**
     * The rows whose names can be had; of the others `faults` says who has them. With `dryRun` nothing is claimed.
     * @throws ProvostError `queue_unavailable`, when another batch took some of the names at this moment.
     */
    async claim(batch: string, rows: NumberedRow[], faults: Faults, dryRun: boolean): Promise<NamedRow[]> {
      const [type, existing = [], claimed = []] = await ask(
        batch,
        rows.map(({ ask }) => ask.name),
        dryRun,
      )
      if (type === 'lost') throw lostToAnother()
      if (existing.length === 0 && claimed.length === 0) return rows
      const jails = new Map((await records.jails(existing)).map((jail) => [jail.name, jail]))
      const holders = new Map(claimed)
      return rows.flatMap((row) => {
        const { line, row: number, ask } = row
        const jail = jails.get(ask.name)
        const holder = holders.get(ask.name)
        if (!jail && holder === undefined) return [row]
        if (jail && isAsAsked(jail, ask)) return [{ ...row, jail }]
        const has = jail
          ? `jail ${ask.name} exists and is ${isLost(jail) ? jail.state : 'not as asked'}`
          : `batch ${holder} has claimed ${ask.name}`
        faults.add([{ line, row: number, field: 'name', message: has }])
        return []
      })
    },

    giveBack,

    /** The names of all rows of a batch that have no jail. */
    async giveBackAll({ id, rows }: { id: string; rows: number }): Promise<void> {
      for (let from = 0; from < rows; from += givenBackAtOnce) {
        const page = await redis.lrange(keys.batchRows(id), from, from + givenBackAtOnce - 1)
        await giveBack(
          id,
          page.map((text) => BatchRow.parse(JSON.parse(text)).ask.name),
        )
      }
    },
  }
}

/** The batch that has claimed a name. */
export async function claimerOf(name: string, { redis, keys }: Pick<Deps, 'redis' | 'keys'>): Promise<string | undefined> {
  const batch = await redis.hget(keys.claims, name)
  return batch !== null && (await redis.exists(keys.batch(batch))) === 1 ? batch : undefined
}

/** Two files with a name in common were sent at the same moment; the other one is accepted, or refused for its own faults. */
export function lostToAnother(): ProvostError {
  return new ProvostError('queue_unavailable', 'Another batch with some of the same names is being accepted.', { retryAfter: 2 })
}
