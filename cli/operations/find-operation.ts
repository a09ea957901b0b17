import { z } from 'zod'
import type { Client } from '../http/client.ts'
import { Refusal } from '../http/refusal.ts'

/** The argument of every command on an operation. */
export const operationArgument = ['<operation>', 'its id, or the name of a jail for the last operation of that'] as const

const Id = z.uuid()
const JailWithOperation = z.object({ lastOperation: z.string() })
const Operations = z.object({ items: z.array(z.object({ id: z.string() })) })

/**
 * Returns the id of an operation that is named by it, or by its jail: the last one of a jail that is there, or was.
 * @throws Refusal, Unreachable
 */
export async function findOperation(client: Client, called: string): Promise<string> {
  if (Id.safeParse(called).success) return called
  try {
    return JailWithOperation.parse((await client.get(`/v1/jails/${encodeURIComponent(called)}`)).body).lastOperation
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 404) throw error
    // A jail that was destroyed, or whose provision was cancelled, has operations and no record.
    const { items } = Operations.parse((await client.get(`/v1/operations?limit=1&jail=${encodeURIComponent(called)}`)).body)
    if (!items[0]) {
      const detail = `There is no operation ${called}, and no jail of that name that has or had one.`
      throw new Refusal(error.status, JSON.stringify({ ...error.problem, detail }))
    }
    return items[0].id
  }
}
