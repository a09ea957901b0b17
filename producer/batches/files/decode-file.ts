import { faultyFile } from '../faults/faults.ts'

/** The bytes that a file may begin with, by what they mean. */
const marks = [
  { encoding: 'utf-8', bytes: [0xef, 0xbb, 0xbf] },
  { encoding: 'utf-16le', bytes: [0xff, 0xfe] },
  { encoding: 'utf-16be', bytes: [0xfe, 0xff] },
]
const workbook = 'The file is a workbook of a spreadsheet program, not text.'
const notText = [
  { bytes: [0x50, 0x4b, 0x03, 0x04], detail: workbook },
  { bytes: [0xd0, 0xcf, 0x11, 0xe0], detail: workbook },
  { bytes: [0x1f, 0x8b], detail: 'The file is compressed.' },
]
const longestMark = 4

const saveAsCsv = 'In the spreadsheet program save it as "CSV UTF-8", and send that file.'

type Decode = (bytes: Buffer, isLast: boolean) => Buffer

/**
 * Yields a file in UTF-8 without a mark of its encoding, each line ended by LF: in the encoding that its mark says, else its
 * `charset`, else UTF-16 if it looks so. UTF-8 is not checked here.
 * @throws ProvostError `invalid_request` for what is no text, or not in that encoding.
 */
export async function* decodeFile(chunks: AsyncIterable<Buffer>, charset: string | undefined): AsyncGenerator<Buffer> {
  let begun: Buffer = Buffer.alloc(0)
  let decode: Decode | undefined
  for await (const chunk of chunks) {
    begun = Buffer.concat([begun, chunk])
    if (!decode && begun.length < longestMark) continue
    decode ??= decoderOf(begun, charset)
    yield decode(begun, false)
    begun = Buffer.alloc(0)
  }
  decode ??= decoderOf(begun, charset)
  yield decode(begun, true)
}

function decoderOf(begin: Buffer, charset: string | undefined): Decode {
  const other = notText.find(({ bytes }) => beginsWith(begin, bytes))
  const errors = [{ line: 1, field: 'line', message: 'is not text in UTF-8' }]
  if (other) throw faultyFile(other.detail, errors, saveAsCsv)
  const encoding = encodingOf(begin) ?? charset ?? 'utf-8'
  const decode = /^utf-?8$/i.test(encoding) ? dropMark() : transcode(encoding)
  const endLines = makeEndLines()
  return (bytes, isLast) => endLines(decode(bytes, isLast), isLast)
}

/** UTF-16 without a mark is told by its zero bytes: the first character of each format is ASCII. */
function encodingOf(begin: Buffer): string | undefined {
  const mark = marks.find(({ bytes }) => beginsWith(begin, bytes))
  if (mark) return mark.encoding
  if (begin[0] === 0 && begin[1] !== 0 && begin[2] === 0) return 'utf-16be'
  return begin[1] === 0 && begin[0] !== 0 && begin[3] === 0 ? 'utf-16le' : undefined
}

const beginsWith = (begin: Buffer, bytes: number[]) => begin.subarray(0, bytes.length).equals(Buffer.from(bytes))

function dropMark(): Decode {
  let isFirst = true
  return (bytes) => {
    const isMarked = isFirst && encodingOf(bytes) === 'utf-8'
    isFirst = false
    return isMarked ? bytes.subarray(3) : bytes
  }
}

function transcode(encoding: string): Decode {
  const decoder = openDecoder(encoding)
  return (bytes, isLast) => {
    try {
      return Buffer.from(decoder.decode(bytes, { stream: !isLast }))
    } catch {
      throw faultyFile(`The file is not text in ${encoding}.`, [], saveAsCsv)
    }
  }
}

function openDecoder(encoding: string) {
  try {
    return new TextDecoder(encoding, { fatal: true })
  } catch {
    throw faultyFile(`The encoding ${encoding} is not known.`, [], 'Name one of the WHATWG Encoding Standard, like windows-1252.')
  }
}

/** Old Macs end a line with CR, Windows with CR and LF. A CR at the end of a piece waits for the next one. */
function makeEndLines(): Decode {
  let waits = false
  return (bytes, isLast) => {
    const all = waits ? Buffer.concat([Buffer.from('\r'), bytes]) : bytes
    waits = !isLast && all.at(-1) === 13
    const complete = waits ? all.subarray(0, -1) : all
    return complete.includes(13) ? Buffer.from(complete.toString('latin1').replaceAll(/\r\n?/g, '\n'), 'latin1') : complete
  }
}
