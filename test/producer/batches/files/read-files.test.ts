import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { readBlocks } from '../../../../producer/batches/files/read-blocks.ts'
import { readCsv } from '../../../../producer/batches/files/read-csv.ts'
import { readJsonLines } from '../../../../producer/batches/files/read-rows.ts'

/** Returns a body that arrives in pieces of `size` bytes. */
function inPieces(text: string, size: number): Readable {
  const bytes = Buffer.from(text)
  const count = Math.ceil(bytes.length / size)
  return Readable.from(Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size)))
}

const blocksOf = (text: string, size: number) => readBlocks(inPieces(text, size), () => undefined)

/** Collects what is read, without what it was read from. */
async function collect<T extends object>(all: AsyncIterable<T>): Promise<Omit<T, 'source'>[]> {
  const items: Omit<T, 'source'>[] = []
  for await (const { source: _, ...item } of all as AsyncIterable<T & { source?: unknown }>) items.push(item)
  return items
}

const file = '\uFEFFname,client,world,hostname\r\nweb1,"ac\r\nme",tiny,é\r\n\r\n"web2",acme,"ti""ny",\r\nweb3,acme,tiny,x'
const rows = [
  { line: 2, value: { name: 'web1', client: 'ac\nme', world: 'tiny', hostname: 'é' } },
  { line: 5, value: { name: 'web2', client: 'acme', world: 'ti"ny' } },
  { line: 6, value: { name: 'web3', client: 'acme', world: 'tiny', hostname: 'x' } },
]

describe('a file', () => {
  test.each([1, 2, 3, 7, 64, 10_000])('of CSV is read alike in pieces of %i bytes', async (size) => {
    expect(await collect(readCsv(blocksOf(file, size)))).toEqual(rows)
  })

  test.each([1, 5, 10_000])('of NDJSON is read alike in pieces of %i bytes', async (size) => {
    expect(await collect(readJsonLines(blocksOf('\uFEFF{"name":"é"}\r\n \n{"name":1}', size)))).toEqual([
      { line: 1, value: { name: 'é' } },
      { line: 3, value: { name: 1 } },
    ])
  })

  test.each([1_000, 100_000])('may have lines of 64 KiB and no longer, in pieces of %i bytes', async (size) => {
    const line = `"${'x'.repeat(65_534)}"`
    expect((await collect(readJsonLines(blocksOf(`${line}\n${line}`, size)))).length).toBe(2)
    for (const longer of [`1\n${line} \n2`, `1\n${line} `])
      await expect(collect(readJsonLines(blocksOf(longer, size)))).rejects.toMatchObject({
        code: 'too_large',
        message: 'Line 2 is longer than 64 KiB.',
      })
  })

  test('is read no further than its first line that is too long', async () => {
    let sent = 0
    async function* tooMuch() {
      while (sent < 1_000) {
        sent += 1
        yield Buffer.alloc(1_000, 'x')
      }
    }
    const body = Readable.from(tooMuch(), { highWaterMark: 1 })
    await expect(collect(readBlocks(body, () => undefined))).rejects.toMatchObject({ code: 'too_large' })
    expect([sent < 80, body.destroyed]).toEqual([true, false])
    body.destroy()
  })

  test('names the line that is no text', async () => {
    const body = Readable.from([Buffer.from('a\nb\n'), Buffer.from([0x63, 0x0a, 0xc3]), Buffer.from([0x0a])])
    await expect(collect(readBlocks(body, () => undefined))).rejects.toMatchObject({
      code: 'invalid_request',
      facts: { errors: [{ line: 4, field: 'line', message: 'is not text in UTF-8' }] },
    })
  })

  test('that breaks off is refused', async () => {
    async function* broken() {
      yield Buffer.from('{}\n')
      throw new Error('aborted')
    }
    await expect(collect(readBlocks(Readable.from(broken()), () => undefined))).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('of CSV becomes what a caller would ask in JSON', async () => {
    const text =
      'world,name,client,memory,cpu,processes,disk,address,host,setuid\ntiny,web1,acme,1G,0.5,x,,10.0.0.7;  fd00::1,h1,TRUE\n'
    expect(await collect(readCsv(blocksOf(text, 100)))).toEqual([
      {
        line: 2,
        value: {
          name: 'web1',
          client: 'acme',
          world: 'tiny',
          host: 'h1',
          addresses: ['10.0.0.7', 'fd00::1'],
          limits: { memory: '1G', cpu: 0.5, processes: 'x' },
          privileges: { setuid: true },
        },
      },
    ])
  })
})
