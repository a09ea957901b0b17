import { expect, it } from 'vitest'
import { readMounts } from '../../../../../worker/host/freebsd/root/mounts.ts'
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

it('says what it was given that is no list', async () => {
  const { run } = scriptedPrograms({ mount: (_, say) => void say.stdout('mount: no\n') })
  await expect(readMounts(run)).rejects.toMatchObject({
    code: 'command_failed',
    message: 'mount gave no list of mounts: mount: no\n',
  })
})
