import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import { largestBatch } from '#shared/batch.ts'
import { ProvostError } from '#shared/errors.ts'
import { faultyFile, tooLarge } from '../faults/faults.ts'
import { decodeFile } from './decode-file.ts'

/** Some complete lines of a file: their text, each line ending with LF, and the number of the first line, from 1. */
export type Block = { line: number; text: string }

const lineFeed = 10

/**
 * Reads a file as it arrives, some lines at a time. Does not destroy the stream when the caller stops reading early.
 *
 * @param note receives all bytes as they arrive.
 * @param charset the encoding that the sender says it has.
 * @throws ProvostError `too_large` for too many bytes or too long a line; `invalid_request` for what is no text in its encoding.
 */
export async function* readBlocks(body: Readable, note: (bytes: Buffer) => void, charset?: string): AsyncGenerator<Block> {
  let line = 1
  let begun: Buffer = Buffer.alloc(0)
  for await (const chunk of decodeFile(chunksOf(body, note), charset)) {
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

async function* chunksOf(body: Readable, note: (bytes: Buffer) => void): AsyncGenerator<Buffer> {
  let bytes = 0
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      bytes += chunk.length
      if (bytes > largestBatch.bytes) throw tooLarge('The file is larger than 64 MiB.')
      note(chunk)
      yield chunk
    }
  } catch (cause) {
    if (cause instanceof ProvostError) throw cause
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
  if (!block.includes(0) && isUtf8(block)) return block.toString()
  const lines = block.toString('latin1').split('\n')
  const i = lines.findIndex((text) => text.includes('\0') || !isUtf8(Buffer.from(text, 'latin1')))
  throw notUtf8(line + i, Buffer.from(lines[i] ?? '', 'latin1'))
}

/** Which of the encodings of one byte it is cannot be known: the sender is shown how the most frequent one would read it. */
function notUtf8(line: number, bytes: Buffer): ProvostError {
  const [word] = /[^\s,;"]*[\u0080-\uffff][^\s,;"]*/.exec(new TextDecoder('windows-1252').decode(bytes)) ?? []
  const reading = word && !bytes.includes(0) ? `; read as Latin-1 (windows-1252) it says "${word.slice(0, 60)}"` : ''
  return faultyFile(
    `The file is not text in UTF-8; line ${line} is the first that is not${reading}.`,
    [{ line, field: 'line', message: 'is not text in UTF-8' }],
    'Save it as "CSV UTF-8" in the spreadsheet program, or if that reading is right, send it with ' +
      '"Content-Type: text/csv; charset=windows-1252".',
  )
}
