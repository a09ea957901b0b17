import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { whyNoFreebsdJails } from '../../support/hosts/host-fitness.ts'
import { patience } from '../../support/patience.ts'
import { must } from '../../support/real-freebsd/ask-host.ts'
import { startFreebsdFleet } from '../../support/real-freebsd/fleet.ts'
import { fillRescueTree } from '../../support/real-freebsd/rescue-tree.ts'
import { test } from '../../support/redis/redis-test.ts'

const whyNot = whyNoFreebsdJails()

/** The targets of FreeBSD's own tree that a world needs, over one that is there. */
const makefile = (tree: string) => `buildworld:
	@echo ">>> World build completed on a test"
installworld:
	tar -C ${tree} -cf - . | tar -C \${DESTDIR} -xpf -
distrib-dirs:
	mkdir -p \${DESTDIR}/var/empty
distribution:
	echo distributed > \${DESTDIR}/etc/distributed
`

describe.skipIf(whyNot)('worlds on a FreeBSD host', () => {
  test('are filled from an archive, a tree and a source tree, and jails run from each', { timeout: 180_000 * patience }, async ({
    redis,
  }) => {
    const place = mkdtempSync(join(tmpdir(), 'provost-worlds-'))
    const tree = fillRescueTree(join(place, 'tree'))
    const [archive, source, objects] = ['base.txz', 'src', 'obj'].map((name) => join(place, name)) as [string, string, string]
    must('tar', '-C', tree, '-cJf', archive, '.')
    mkdirSync(source)
    writeFileSync(join(source, 'Makefile'), makefile(tree))
    const sha256 = createHash('sha256').update(readFileSync(archive)).digest('hex')
    const worlds = [
      { name: 'base', method: 'archive', path: archive, sha256 },
      { name: 'tree', method: 'tree', path: tree },
      { name: 'src', method: 'source', path: source, objects, buildworld: true },
    ]
    const fleet = await startFreebsdFleet(redis, { storage: 'zfs', mode: 'shared', worlds })
    try {
      const before = fleet.snapshot()
      const jails = worlds.map(({ name }) => ({ world: name, name: `w${name}${fleet.tag}` }))
      for (const { name, world } of jails) {
        expect(await fleet.ended(fleet.ask(name, { world }))).toMatchObject({ status: 'succeeded' })
        expect(await fleet.faultsOf(name)).toEqual([])
      }
      expect(readFileSync(join(fleet.layout.jail(jails[2]?.name ?? '').root, 'etc/distributed'), 'utf8')).toBe('distributed\n')
      for (const { name } of jails) expect(await fleet.ended(fleet.destroy(name))).toMatchObject({ status: 'succeeded' })
      expect(fleet.snapshot()).toEqual(before)
    } finally {
      await fleet.stop()
      rmSync(place, { recursive: true, force: true })
    }
  })
})
