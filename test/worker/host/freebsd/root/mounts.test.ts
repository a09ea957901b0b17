import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readMounts, unmountDirectory } from '../../../../../worker/host/freebsd/root/mounts.ts'
import { scriptedPrograms } from '../../../../support/programs/scripted-programs.ts'

// What mount(8) of 15.1 printed, with a tmpfs(5) on "/tmp/a b"; the last one has a tab in its name, which libxo(3) leaves as it is.
const printed =
  '{"mount": {"fstab": [{"device":"/dev/gpt/rootfs","mntpoint":"/","fstype":"ufs","opts":"rw","dump":1,"pass":1}, ' +
  '{"device":"tmpfs","mntpoint":"/tmp/a b","fstype":"tmpfs","opts":"rw","dump":0,"pass":0}, ' +
  '{"device":"zroot/pv2/roots/v9","mntpoint":"/a\tb","fstype":"zfs","opts":"rw,nfsv4acls ","dump":0,"pass":0}]}}\n'

it('reads mounts whatever blanks are in their names', async () => {
  const { run, commands } = scriptedPrograms({ mount: (_, say) => void say.stdout(printed) })
  expect(await readMounts(run)).toEqual([
    { device: '/dev/gpt/rootfs', point: '/', fsType: 'ufs', options: ['rw'] },
    { device: 'tmpfs', point: '/tmp/a b', fsType: 'tmpfs', options: ['rw'] },
    { device: 'zroot/pv2/roots/v9', point: '/a\tb', fsType: 'zfs', options: ['rw', 'nfsv4acls'] },
  ])
  expect(commands).toEqual([['mount', '--libxo', 'json', '-p']])
})

it('unmounts what is on a directory, however often, and never by way of a link', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'provost-mounts-'))
  mkdirSync(join(directory, 'dev'))
  symlinkSync('/usr', join(directory, 'link'))
  let mounted = 2
  const { run, commands } = scriptedPrograms({
    umount: ([point], say) => {
      if (mounted === 0) say.stderr(`umount: ${point}: not a file system root directory\n`)
      return mounted-- > 0 ? 0 : 1
    },
  })
  await unmountDirectory(run, join(directory, 'dev'))
  expect(commands).toEqual(Array(3).fill(['umount', join(directory, 'dev')]))
  for (const name of ['link', 'absent']) await unmountDirectory(run, join(directory, name))
  expect(commands).toHaveLength(3)
  rmSync(directory, { recursive: true })
})

it('says of a directory that is in use that it is still mounted', async () => {
  const { run } = scriptedPrograms({
    umount: ([point], say) => {
      say.stderr(`umount: unmount of ${point} failed: Device busy\n`)
      return 1
    },
  })
  await expect(unmountDirectory(run, tmpdir())).rejects.toMatchObject({
    code: 'resource_busy',
    message: `Still mounted: ${tmpdir()}.`,
  })
})

it('says what it was given that is no list', async () => {
  const { run } = scriptedPrograms({ mount: (_, say) => void say.stdout('mount: no\n') })
  await expect(readMounts(run)).rejects.toMatchObject({
    code: 'command_failed',
    message: 'mount gave no list of mounts: mount: no\n',
  })
})
