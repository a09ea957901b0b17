import { readFile, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { undefinedIfAbsent } from './paths.ts'

/**
 * Writes a file of the host aside, then renames: a reader sees the old text or the new one, and a crash leaves one of them. What is
 * there already is not written again. When an operator keeps the file elsewhere, the link stays.
 */
export async function replaceFile(name: string, text: string, newMode = 0o644): Promise<void> {
  if ((await readFile(name, 'utf8').catch(undefinedIfAbsent)) === text) return
  const path = await realpath(name).catch(() => name)
  const mode = (await stat(path).catch(undefinedIfAbsent))?.mode ?? newMode
  await writeFile(`${path}.provost-new`, text, { mode, flush: true })
  await rename(`${path}.provost-new`, path)
}
