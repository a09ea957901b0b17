import { describe, expect, test } from 'vitest'
import { checksumOf } from '../../../../worker/worlds/files/checksum-file.ts'

const sum = 'ab'.repeat(32)
const other = 'cd'.repeat(32)

describe('a file of checksums', () => {
  test('is a MANIFEST of FreeBSD, which also counts the entries', () => {
    const manifest = `base-dbg.txz\t${other}\t1693\tbase_dbg\nbase.txz\t${sum}\t30182\tbase\t"Base (MANDATORY)"\ton\n`
    expect(checksumOf(manifest, '/usr/dist/base.txz')).toEqual({ sha256: sum, entries: 30182 })
    expect(checksumOf(manifest, '/usr/dist/ase.txz')).toBeUndefined()
    expect(checksumOf('base.txz\tno-sum\t1\n', 'base.txz')).toBeUndefined()
  })

  test.each([
    ['sha256sum', `${other}  kernel.txz\n${sum}  base.txz\n`],
    ['sha256sum of a binary file', `${sum} *base.txz\n`],
    ['sha256sum in its directory', `${sum}  ./base.txz\n`],
    ['sha256sum in upper case, with the line ends of Windows', `${sum.toUpperCase()}  base.txz\r\n`],
    ['sha256 of the BSDs', `SHA256 (kernel.txz) = ${other}\nSHA256 (base.txz) = ${sum}\n`],
    ['sha256 of the BSDs in upper case', `SHA256 (base.txz) = ${sum.toUpperCase()}\n`],
    ['OpenSSL', `SHA2-256(base.txz)= ${sum}\n`],
    ['a sum alone', `${sum}\n`],
    [
      'a signed list',
      `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${sum}  base.txz\n-----BEGIN PGP SIGNATURE-----\n\nAbc=\n`,
    ],
  ])('is what is printed by %s', (_, text) => {
    expect(checksumOf(text, '/dist/base.txz')).toEqual({ sha256: sum })
  })

  test('tells archives of one name apart by their directories', () => {
    const text = `${other}  arm64/base.txz\n${sum}  amd64/base.txz\n`
    expect(checksumOf(text, '/images/amd64/base.txz')).toEqual({ sha256: sum })
    expect(checksumOf(`${text}${'ef'.repeat(32)}  base.txz\n`, '/images/arm64/base.txz')).toEqual({ sha256: other })
    expect(checksumOf(text, '/images/riscv/base.txz')).toBeUndefined()
  })
})
