import { type Client, type Request, WithOperation } from '../http/client.ts'
import { showBoard } from '../print/live/show-board.ts'
import { failureLines } from '../print/operation-lines.ts'
import { NotShown } from './print.ts'

/** Sends all requests at once and shows their operations and the fill of `world`. @throws NotShown unless all succeed */
export async function showOperations(client: Client, requests: Request[], world?: string): Promise<void> {
  const ids = await Promise.all(
    requests.map(async (request) => WithOperation.parse((await client.send(request)).body).operation.id),
  )
  const ended = await showBoard(client, ids, world)
  const failed = ended.filter(({ status }) => status !== 'succeeded')
  if (failed.length > 0) throw new NotShown(failed.flatMap(failureLines).join('\n'))
}
