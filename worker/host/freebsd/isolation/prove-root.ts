import { join } from 'node:path'
import { type Finding, some } from '../../jails/proofs.ts'
import { isBelow } from '../root/mounts.ts'
import { zfsProperty } from '../root/zfs.ts'
import { worldSnapshot } from '../worlds.ts'
import { differing, type Subject } from './subject.ts'

/** Its `/` is the directory that was made for it, and nothing of the host but its /dev is mounted in it. */
export async function proveRoot({ host, jail, actual, mounts, signal }: Subject): Promise<Finding> {
  const { root, parent, dataset } = host.layout.jail(jail.name)
  const faults = differing(actual, { path: root })
  const strange = mounts
    .filter(({ point }) => point === root || isBelow(point, root))
    .filter(({ point, fsType }) => point !== join(root, 'dev') || fsType !== 'devfs')
  if (strange.length > 0)
    faults.push(`has mounted what it should not: ${some(strange.map(({ fsType, point }) => `${fsType} on ${point}`))}`)
  const twice = mounts.filter(({ point }) => point === join(root, 'dev')).length > 1
  if (twice) faults.push('has /dev mounted twice')
  if (!dataset) return { faults, fine: '/ is a copy of its world, with nothing mounted but /dev' }

  const snapshot = worldSnapshot(host, { name: jail.world, digest: jail.worldDigest })
  if (mounts.findLast(({ point }) => point === parent)?.device !== dataset) faults.push(`${dataset} is not mounted`)
  if ((await zfsProperty(host, dataset, 'origin', signal)) !== snapshot) faults.push(`${dataset} is no clone of ${snapshot}`)
  return { faults, fine: `/ is a clone of ${snapshot}, with nothing mounted but /dev` }
}
