import { ProvostError } from '#shared/errors.ts'

/**
 * Returns the `exec.*` by which jail(8) runs a script of ours on the host, with words that are only names and numbers: anything else it
 * would run with sh -c, or split at a blank. @throws ProvostError `host_unfit`
 */
export function hostScript(path: string, ...words: string[]): string {
  if (!/^[A-Za-z0-9_./@+-]+$/.test(path))
    throw new ProvostError('host_unfit', `Provost lies in ${path}, whose name jail(8) does not take as it is.`)
  return ['/bin/sh', path, ...words].join(' ')
}
