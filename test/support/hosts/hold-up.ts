import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../until.ts'

export type HeldUp = { wasReached(): boolean; reached(): Promise<unknown>; release(): Promise<void> }

/**
 * Puts a program before the real one, in a directory that a host's `commandPath` begins with: called with arguments like
 * `when` (a pattern of sh), it waits for its release, then becomes the real one.
 */
export async function holdUp(bin: string, program: string, path: string, when = '*'): Promise<HeldUp> {
  const [reached, go] = [join(bin, `${program}.reached`), join(bin, `${program}.go`)]
  const script = `#!/bin/sh
case " $* " in ${when})
  : > ${reached}
  while [ ! -e ${go} ]; do sleep 0.05; done ;;
esac
exec ${path} "$@"
`
  await writeFile(join(bin, program), script, { mode: 0o755 })
  const wasReached = () => existsSync(reached)
  return {
    wasReached,
    reached: () => until(`${program} to be held up`, async () => wasReached()),
    release: () => writeFile(go, ''),
  }
}
