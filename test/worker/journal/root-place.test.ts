import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { keepPlace } from '../../../worker/journal/root-place.ts'
import { silent } from '../samples.ts'
import { test } from '../worlds/world-fixture.ts'

const journalOf = (wanted: string) => ({ jails: () => [{ settled: { wanted } }] as never })

test('a root is refused elsewhere than where its jails were started, in the same boot and while they may run', async ({
  scratch,
}) => {
  const [first, second] = [join(scratch, 'first'), join(scratch, 'second')]
  const at = (directory: string, boot: string, wanted = 'running') =>
    keepPlace({ directory, boot, journal: journalOf(wanted), log: silent })
  await mkdir(first)
  await at(first, 'b1')
  await at(first, 'b1')
  await rename(first, second)
  const refused = {
    code: 'host_unfit',
    message: `The root ${second} was ${first} when its jails were started, and they may still run from there.`,
  }
  for (const _ of [1, 2]) await expect(at(second, 'b1')).rejects.toMatchObject(refused)
  await rename(second, first)
  await at(first, 'b1')
  await rename(first, second)
  await at(second, 'b1', 'stopped')
  await rename(second, first)
  // Nothing runs any more that was started before this boot.
  await at(first, 'b2')
})
