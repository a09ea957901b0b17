import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../until.ts'

/**
 * Puts a program before the real one, in a directory that a host's `commandPath` begins with: called with arguments like
 * `when` (a pattern of sh), it waits until the gate is opened, then becomes the real one.
 */
export async function programGate(bin: string, program: string, path: string, when = '*') {
  const [reached, open] = [join(bin, `${program}.reached`), join(bin, `${program}.open`)]
  const script = `#!/bin/sh
case " $* " in ${when})
  : > ${reached}
  while [ ! -e ${open} ]; do sleep 0.05; done ;;
esac
exec ${path} "$@"
`
  await writeFile(join(bin, program), script, { mode: 0o755 })
  const wasReached = () => existsSync(reached)
  return {
    wasReached,
    reached: () => until(`${program} to wait at its gate`, wasReached),
    open: () => writeFile(open, ''),
  }
}
