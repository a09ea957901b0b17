import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** `given` and `afterwards` may be looked at by nobody; `said` is what FreeBSD answered. */
export type Step = { kind: 'given' | 'said'; command: string; stdout: string[]; stderr: string[]; exitCode: number }
export type Case = {
  file: string
  title: string
  /** In place of a title of its own, what proves the file: its first line. */
  source: string
  steps: Step[]
  afterwards: string[]
  /** Why the real programs of a host are not to be asked. */
  notOnHost?: string
}

/** How much a case proves, by the folder that it is in. */
export const folders = ['seen-on-15.1', 'userland-on-linux', 'from-sources'] as const

/** Returns the cases of a folder in the form that README.md describes. @throws Error for a line that has no place in it. */
export function readCases(folder: string): Case[] {
  const directory = join(import.meta.dirname, folder)
  return readdirSync(directory)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .flatMap((name) => parseCases(`${folder}/${name}`, readFileSync(join(directory, name), 'utf8')))
}

export function parseCases(file: string, text: string): Case[] {
  const [head = '', ...sections] = text.split(/^## /m)
  const source = head.split('\n')[0] ?? ''
  if (!source.startsWith('# ')) throw new Error(`${file}: its first line does not say where this was seen.`)
  return sections.map((section) => {
    const [title = '', ...lines] = section.split('\n')
    return { title, ...readLines(file, lines), file, source: source.slice(2) }
  })
}

function readLines(file: string, lines: string[]): Pick<Case, 'steps' | 'afterwards' | 'notOnHost'> {
  const read: Pick<Case, 'steps' | 'afterwards' | 'notOnHost'> = { steps: [], afterwards: [] }
  const { steps, afterwards } = read
  const left = [...lines]
  for (let line = left.shift(); line !== undefined; line = left.shift()) {
    const rest = line.slice(2)
    const last = steps.at(-1)
    if (line.startsWith('# ')) continue
    if (line.startsWith('@ ')) read.notOnHost = rest
    else if (line.startsWith('~ ')) afterwards.push(rest)
    else if (line.startsWith('$ ')) steps.push({ kind: 'said', command: rest, stdout: [], stderr: [], exitCode: 0 })
    else if (line.startsWith('% '))
      steps.push({ kind: 'given', command: withDocument(rest, left), stdout: [], stderr: [], exitCode: 0 })
    else if (line === '' && (last?.kind !== 'said' || left.every((each) => each === '') || /^[$%~@#] /.test(left[0] ?? '')))
      continue
    else if (last?.kind !== 'said') throw new Error(`${file}: ${line}: an answer without its command.`)
    else if (line.startsWith('2| ')) last.stderr.push(line.slice(3))
    else if (/^=\d+$/.test(line)) last.exitCode = Number(line.slice(1))
    else last.stdout.push(line.startsWith('1| ') ? line.slice(3) : line)
  }
  return read
}

/** A command with the lines of its here-document, sh(1). */
function withDocument(command: string, left: string[]): string {
  const end = /<<'?(\w+)'?$/.exec(command)?.[1]
  if (!end) return command
  const length = left.indexOf(end) + 1
  if (length === 0) throw new Error(`${command}: nothing ends it.`)
  return [command, ...left.splice(0, length)].join('\n')
}
