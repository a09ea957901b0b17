import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { readFile } from '../../../../producer/batches/files/read-file.ts'

const header = 'name,client,world\n'
const plain = `${header}web1,acme,tiny\n`
const web1 = { name: 'web1', client: 'acme', world: 'tiny' }

/** Reads a file of CSV that arrives in pieces of 5 bytes. */
async function read(file: string | Buffer, charset?: string) {
  const bytes = Buffer.from(file as string)
  const pieces = Array.from({ length: Math.ceil(bytes.length / 5) }, (_, i) => bytes.subarray(i * 5, i * 5 + 5))
  const rows: object[] = []
  for await (const { source: _, ...row } of readFile(Readable.from(pieces), 'csv', charset).rows) rows.push(row)
  return rows
}

/** Why a file is refused, and what to do. */
async function refusal(file: string | Buffer, charset?: string) {
  const error = await read(file, charset).then(
    () => undefined,
    (error) => error,
  )
  return [error?.message, error?.hint]
}

describe('a file from a spreadsheet', () => {
  test.each([
    ['with blank rows', `\n,,\n${header},,\n\nweb1,acme,tiny\n,,\n  , ,\n`, 6],
    ['with semicolons', 'name;client;world\nweb1;acme;tiny\n', 2],
    ['with tabs', 'name\tclient\tworld\nweb1\tacme\ttiny\n', 2],
    ['with its delimiter said first', 'sep=;\r\nname;client;world\r\nweb1;acme;tiny\r\n', 3],
    ['in UTF-16', Buffer.from(`\uFEFF${plain}`, 'utf16le'), 2],
    ['in UTF-16, big-endian', Buffer.from(`\uFEFF${plain}`, 'utf16le').swap16(), 2],
    ['in UTF-16 without a mark', Buffer.from(plain, 'utf16le'), 2],
    ['in UTF-8 with a mark', `\uFEFF${plain}`, 2],
    ['of an old Mac', plain.replaceAll('\n', '\r'), 2],
    ['with a header in another case', plain.replace('name,client,world', 'Name, Client ,WORLD'), 2],
    ['with empty columns at its end', 'name,client,world,,\nweb1,acme,tiny,,,\n', 2],
  ])('%s is read as it is meant', async (_, file, line) => {
    expect(await read(file)).toEqual([{ line, value: web1 }])
  })

  test('in the encoding that is said is read in that', async () => {
    const file = Buffer.from('name;client;world;Client Name\nweb1;acme;tiny;Größe & Söhne\n', 'latin1')
    expect(await read(file, 'ISO-8859-1')).toEqual([{ line: 2, value: { ...web1, clientName: 'Größe & Söhne' } }])
  })

  test('has decimal commas that cannot be anything else', async () => {
    const rows = await read('name;client;world;cpu;processes\na;b;c;0,5;7\na;b;c;2,25;\na;b;c;0,125;\na;b;c;1,024;1.000\n')
    expect(rows.map((row: any) => row.value.limits)).toEqual([
      { cpu: 0.5, processes: 7 },
      { cpu: 2.25 },
      { cpu: 0.125 },
      { cpu: '1,024', processes: '1.000' },
    ])
  })

  test('has commands and labels in words or in JSON', async () => {
    const [words, json, neither] = (await read(
      'name;client;world;command;labels\n' +
        `a;b;c;/bin/sh -c 'echo it';"zone=eu note=""two words"""\n` +
        'a;b;c;"[""/bin/echo"",""it is""]";"{""zone"":""eu""}"\n' +
        "a;b;c;/bin/sh 'x;zone\n",
    )) as any[]
    expect([words, json, neither].map(({ value: { command, labels } }) => [command, labels])).toEqual([
      [['/bin/sh', '-c', 'echo it'], { zone: 'eu', note: 'two words' }],
      [['/bin/echo', 'it is'], { zone: 'eu' }],
      ["/bin/sh 'x", 'zone'],
    ])
  })

  test('that was refused is read without what was said of it', async () => {
    expect(await read('fault;name;client;world\nline 2: client is wrong;web1;acme;tiny\n')).toEqual([{ line: 2, value: web1 }])
  })

  test.each([
    [
      'in Latin-1',
      Buffer.from(`${header}web1,Müller,tiny\n`, 'latin1'),
      'The file is not text in UTF-8; line 2 is the first that is not; read as Latin-1 (windows-1252) it says "Müller".',
      'Save it as "CSV UTF-8" in the spreadsheet program, or if that reading is right, send it with "Content-Type: text/csv; charset=windows-1252".',
    ],
    [
      'that is a workbook',
      Buffer.from('PK\x03\x04…'),
      'The file is a workbook of a spreadsheet program, not text.',
      'In the spreadsheet program save it as "CSV UTF-8", and send that file.',
    ],
    [
      'without a header',
      'web1,acme,tiny\n',
      'Line 1 names no column of a batch: the file has no header.',
      'Begin it with a line like name,client,world.',
    ],
    [
      'with a quote within a cell',
      `${header}we"b1,acme,tiny\n`,
      'Line 2 has a quote within a cell, which has to be quoted, and its own quotes written twice.',
      'Correct the file and send it again.',
    ],
  ])('%s is refused in a sentence that says how to save it right', async (_, file, message, hint) => {
    expect(await refusal(file)).toEqual([message, hint])
  })

  test.each([
    ['the file', Array.from({ length: 500 }, (_, i) => `web${i},acme,tiny`).join('\n')],
    ['the next quote', `web2,acme,tiny\n${'"web3",acme,tiny\n'.repeat(9)}`],
    ['the longest row', 'web2,acme,tiny\n'.repeat(9_000)],
  ])('with a quote that is not closed before the end of %s is told the line where it opens', async (_, rest) => {
    const file = `${header}\n,,\nweb1,acme,tiny\n"web1,acme,tiny\n${rest}\n`
    expect(await refusal(file)).toEqual([
      'Line 5 opens a quote that is not closed in that line, so that no row after it can be told from it.',
      'Close the quote in line 5, or take it away; a quote within a quoted cell is written twice.',
    ])
  })
})
