import { archive } from './archive.ts'
import { busybox } from './busybox.ts'
import { debootstrap } from './debootstrap.ts'
import { makeNeutral } from './make-neutral.ts'
import { tree } from './tree.ts'
import type { World } from './world.ts'
import type { FillContext } from './world-method.ts'

/** Makes a world in an empty directory by its method, then takes out what belongs to this host alone. */
export async function fillDirectory(context: FillContext<World>): Promise<void> {
  await fillByMethod(context)
  context.signal.throwIfAborted()
  if (context.platform.startsWith('linux/')) await makeNeutral(context.directory)
}

function fillByMethod({ world, ...rest }: FillContext<World>): Promise<void> {
  switch (world.method) {
    case 'debootstrap':
      return debootstrap({ world, ...rest })
    case 'archive':
      return archive({ world, ...rest })
    case 'tree':
      return tree({ world, ...rest })
    case 'busybox':
      return busybox({ world, ...rest })
  }
}
