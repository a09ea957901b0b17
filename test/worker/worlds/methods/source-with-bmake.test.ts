import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { World } from '../../../../worker/config/world.ts'
import { commandRunner, findProgram } from '../../../../worker/host/programs/run-command.ts'
import { source } from '../../../../worker/worlds/methods/source.ts'
import { test } from '../world-fixture.ts'

const system = '/sbin:/bin:/usr/sbin:/usr/bin'
const bmake = process.platform === 'freebsd' ? findProgram('make', system) : findProgram('bmake', system)
if (!bmake)
  console.error('\nNOT RUN HERE: worlds from source with the real make(1): there is no bmake; script/bootstrap installs it\n')

/** Targets by the names of FreeBSD's, with its milestones; the object tree is where the environment says. */
const makefile = `
OBJ= \${MAKEOBJDIRPREFIX}

.PHONY: buildworld installworld distrib-dirs distribution _libraries _everything

buildworld: _everything
	@echo '>>> World build completed on now'
_libraries:
	@echo '>>> stage 4.2: building libraries'
	mkdir -p \${OBJ}
	test -e \${OBJ}/libraries || echo built >> \${OBJ}/log
	touch \${OBJ}/libraries
_everything: _libraries
	@echo '>>> stage 4.3: building everything'
	echo 'everything wants the file good' ; test -e \${.CURDIR}/good

installworld:
.if !defined(DESTDIR) || !defined(DB_FROM_SRC)
	@echo 'ERROR: Please set DESTDIR!' ; false
.endif
	@echo '>>> Making hierarchy'
	mkdir -p \${DESTDIR}/bin
	@echo '>>> Installing everything started on now'
	cp \${OBJ}/libraries \${DESTDIR}/bin/sh
distrib-dirs:
	mkdir -p \${DESTDIR}/etc \${DESTDIR}/var
distribution:
	echo root > \${DESTDIR}/etc/passwd
`

describe.skipIf(!bmake)('a world from source, with the real make(1)', () => {
  test('fails where its build fails, and goes on there the next time', async ({ scratch }) => {
    const [path, objects, directory, bin] = ['src', 'obj', 'tree', 'bin'].map((name) => join(scratch, name)) as [
      string,
      string,
      string,
      string,
    ]
    for (const each of [path, directory, bin]) await mkdir(each)
    await writeFile(join(path, 'Makefile'), makefile)
    await symlink(bmake ?? '', join(bin, 'make'))
    const run = commandRunner({ commandPath: `${bin}:${system}`, worker: 'test' })
    const world = World.parse({ name: 'base', method: 'source', path, objects, buildworld: true, jobs: 2 })
    if (world.method !== 'source') throw new Error('not this method')
    const fractions: number[] = []
    const { signal } = new AbortController()
    const progress = (done: number) => void fractions.push(done)
    const fill = () => source({ world, directory, platform: 'freebsd/x64', run, signal, progress })

    await expect(fill()).rejects.toMatchObject({
      code: 'command_failed',
      message: expect.stringMatching(
        /^make buildworld failed in stage 4\.3: building everything: \*\*\* \[_everything\] Error code 1/,
      ),
      facts: { logTail: expect.stringContaining('everything wants the file good') },
    })
    expect(fractions.at(-1)).toBeLessThan(0.95)

    await writeFile(join(path, 'good'), '')
    await fill()
    expect(fractions.at(-1)).toBe(1)
    expect(await readFile(join(directory, 'etc/passwd'), 'utf8')).toBe('root\n')
    // Built by the first try, not once more.
    expect(await readFile(join(objects, 'log'), 'utf8')).toBe('built\n')
  })
})
