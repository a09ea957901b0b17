import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { errnoOf } from '#shared/errors.ts'
import { Unsuccessful } from '../arguments/command-context.ts'

/** Writes a file; after any error it is as it was before. @throws Unsuccessful when it cannot be written */
export async function writeWhole(file: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const part = `${file}.part`
  try {
    await pipeline(content, createWriteStream(part))
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true }).catch(() => {})
    if (errnoOf(error) === undefined) throw error
    throw new Unsuccessful([`${file} cannot be written: ${error instanceof Error ? error.message : error}`])
  }
}
