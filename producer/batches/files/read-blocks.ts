import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import { largestBatch } from '#shared/batch.ts'
import { ProvostError } from '#shared/errors.ts'
import { faultyFile, tooLarge } from '../faults.ts'

/** Some complete lines of a file: their text, each line ending with LF, and the number of the first line, from 1. */
export type Block = { line: number; text: string }

const lineFeed = 10
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Reads a file as it arrives, some lines at a time. Does not destroy the stream when the caller stops reading early.
 *
 * @param note receives all bytes as they arrive.
 * @throws ProvostError `too_large` for too many bytes or too long a line; `invalid_request` for what is not UTF-8.
 */
export async function* readBlocks(body: Readable, note: (bytes: Buffer) => void): AsyncGenerator<Block> {
  let bytes = 0
  let line = 1
  let begun: Buffer = Buffer.alloc(0)
  for await (const chunk of chunksOf(body)) {
    bytes += chunk.length
    if (bytes > largestBatch.bytes) throw tooLarge('The file is larger than 64 MiB.')
    note(chunk)
    const end = chunk.lastIndexOf(lineFeed) + 1
    const block = Buffer.concat([begun, chunk.subarray(0, end)])
    begun = end === 0 ? Buffer.concat([begun, chunk]) : chunk.subarray(end)
    if (end > 0) {
      const lines = countLines(block, line)
      yield { line, text: textOf(block, line) }
      line += lines
    }
    assertLine(begun.length, line)
  }
  if (begun.length > 0) yield { line, text: textOf(begun, line) }
}

async function* chunksOf(body: Readable): AsyncGenerator<Buffer> {
  try {
    yield* body.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw new ProvostError('invalid_request', 'The body of the request broke off.', { cause })
  }
}

function countLines(block: Buffer, firstLine: number): number {
  let lines = 0
  for (let from = 0; from < block.length; lines += 1) {
    const end = block.indexOf(lineFeed, from)
    assertLine(end - from, firstLine + lines)
    from = end + 1
  }
  return lines
}

function assertLine(bytes: number, line: number): void {
  if (bytes <= largestBatch.lineBytes) return
  throw tooLarge(`Line ${line} is longer than 64 KiB.`, [{ line, field: 'line', message: 'is longer than 64 KiB' }])
}

function textOf(block: Buffer, line: number): string {
  if (block.includes(0) || !isUtf8(block)) {
    const at = line + lineNotText(block)
    throw faultyFile(`The file is not text in UTF-8; line ${at} is the first that is not.`, [
      { line: at, field: 'line', message: 'is not text in UTF-8' },
    ])
  }
  const isMarked = line === 1 && block.subarray(0, 3).equals(byteOrderMark)
  return block.toString('utf8', isMarked ? 3 : 0).replaceAll('\r\n', '\n')
}

/** Returns how many lines come before the first that is not UTF-8. */
function lineNotText(block: Buffer): number {
  const lines = block.toString('latin1').split('\n')
  return lines.findIndex((line) => line.includes('\0') || !isUtf8(Buffer.from(line, 'latin1')))
}
