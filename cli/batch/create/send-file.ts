import { rename, rm } from 'node:fs/promises'
import type { CommandContext } from '../../arguments/command-context.ts'
import type { Answer, Upload } from '../../http/client.ts'
import { writeWhole } from '../../print/write-whole.ts'

/**
 * Sends the file of a batch, and writes the rows that are wrong into the file `rejects`, if that is given and there are some.
 * @throws Refusal, Unreachable, Unsuccessful
 */
export async function sendFile({ client }: CommandContext, upload: Upload, rejects: string | undefined): Promise<Answer> {
  if (rejects === undefined) return client().upload(upload)
  // Asked for first: once the others are accepted, they would be wrong, too, as they are there already.
  const wrong = client().exchange({ ...upload, path: '/v1/batches/rejects' })
  const first = await wrong.next()
  if (first.done) return client().upload(upload)
  const aside = `${rejects}.new`
  await writeWhole(aside, withFirst(first.value, wrong))
  let isReplayed = false
  try {
    const answer = await client().upload(upload)
    isReplayed = answer.replayed
    return answer
  } finally {
    // A batch that was sent before has its rejects since then.
    if (isReplayed) await rm(aside)
    else {
      await rename(aside, rejects)
      process.stderr.write(`The rows that are wrong are in ${rejects}: correct them there, and send that file.\n`)
    }
  }
}

async function* withFirst<T>(first: T, others: AsyncIterable<T>): AsyncGenerator<T> {
  yield first
  yield* others
}
