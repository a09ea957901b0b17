import { ProvostError, toProvostError } from '#shared/errors.ts'
import type { World } from '../config/world.ts'
import { freeBytes } from './files/free-bytes.ts'
import { makeNeutral } from './files/make-neutral.ts'
import { makeNeutralFreebsd } from './files/make-neutral-freebsd.ts'
import { archive } from './methods/archive.ts'
import { busybox } from './methods/busybox.ts'
import { debootstrap } from './methods/debootstrap.ts'
import { pkgbase } from './methods/pkgbase.ts'
import { source } from './methods/source.ts'
import { tree } from './methods/tree.ts'
import type { FillContext } from './world-method.ts'

/** Makes a world in an empty directory by its method, then removes what belongs to this host alone. */
export async function fillDirectory(context: FillContext<World>): Promise<void> {
  try {
    await fillByMethod(context)
  } catch (thrown) {
    context.signal.throwIfAborted()
    throw await fullDiskOr(toProvostError(thrown), context.directory)
  }
  context.signal.throwIfAborted()
  if (context.platform.startsWith('linux/')) await makeNeutral(context.directory, context.world.name)
  if (context.platform.startsWith('freebsd/')) await makeNeutralFreebsd(context)
}

function fillByMethod({ world, ...rest }: FillContext<World>): Promise<void> {
  switch (world.method) {
    case 'debootstrap':
      return debootstrap({ world, ...rest })
    case 'archive':
      return archive({ world, ...rest })
    case 'source':
      return source({ world, ...rest })
    case 'pkgbase':
      return pkgbase({ world, ...rest })
    case 'tree':
      return tree({ world, ...rest })
    case 'busybox':
      return busybox({ world, ...rest })
  }
}

/** Not every program reports that the disk is full: tar(1) only prints that it wrote less than it wanted. */
async function fullDiskOr(error: ProvostError, directory: string): Promise<ProvostError> {
  const full = error.code !== 'disk_full' && (await freeBytes(directory)) < 1024 ** 2
  return full ? new ProvostError('disk_full', `The disk of the host is full: ${error.message}`, error.facts) : error
}
