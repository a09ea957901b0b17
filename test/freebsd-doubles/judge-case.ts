import type { Case, Step } from './read-cases.ts'

export type Said = { exitCode: number; stdout: string; stderr: string }
/** Runs a line as sh(1) does, with what is known of the host (`$R`, `$Z`) put in. */
export type Ask = (line: string) => Promise<Said>

/** What of a host's own is in an answer; whatever else has a name is one word. */
const patterns: Record<string, string> = { jid: '\\d+', pid: '\\d+', mac: '(?:[0-9a-f]{2}:){5}[0-9a-f]{2}' }

/** Returns what was seen and what was answered, in the same form, where the two differ; nothing where they agree. */
export async function judgeCase({ steps, afterwards }: Case, places: Record<string, string>, ask: Ask) {
  const known = new Map<string, string>()
  const shorten = (text: string) =>
    Object.entries(places).reduce((short, [name, place]) => short.replaceAll(place, `$${name}`), text)
  const fill = (text: string) => text.replace(/<([a-z]+)>/g, (mark, name) => known.get(name) ?? mark)
  const seen: string[] = []
  const answered: string[] = []
  try {
    for (const step of steps) {
      const said = await ask(fill(step.command))
      const [stdout, stderr] = [linesOf(shorten(said.stdout)), linesOf(shorten(said.stderr))]
      if (step.kind === 'given' && said.exitCode === 0) continue
      const agrees =
        said.exitCode === step.exitCode &&
        agree(step.stdout, stdout, known) &&
        agree(step.stderr, stderr, known) &&
        step.kind === 'said'
      seen.push(shown(step))
      answered.push(agrees ? shown(step) : shown({ ...step, exitCode: said.exitCode, stdout, stderr }))
    }
  } finally {
    for (const line of afterwards) await ask(fill(line))
  }
  return { seen: seen.join('\n'), answered: answered.join('\n') }
}

/** `...` stands for what was not noted: any lines, or a part of one. A placeholder that was met before must be the same again. */
function agree(wanted: string[], lines: string[], known: Map<string, string>): boolean {
  const names: string[] = []
  const pattern = wanted.map((line) => {
    if (line === '...') return '(?:[^\\n]*\\n)*?'
    const parts = line.split(/<([a-z]+)>/)
    return `${parts.map((part, i) => (i % 2 === 0 ? escaped(part) : patternOf(part))).join('')}\\n`
  })
  const match = new RegExp(`^${pattern.join('')}$`).exec(lines.map((line) => `${line}\n`).join(''))
  if (match) for (const name of names) known.set(name, match.groups?.[name] ?? '')
  return match !== null

  function patternOf(name: string): string {
    const value = known.get(name)
    if (value !== undefined) return value.replace(/\W/g, '\\$&')
    if (names.includes(name)) return `\\k<${name}>`
    names.push(name)
    return `(?<${name}>${patterns[name] ?? '[^\\s"]+'})`
  }
}

const escaped = (text: string) =>
  text
    .split('...')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('[^\\n]*')

/** Lines as a terminal shows them: whether the last one has an end cannot be seen there. */
function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

function shown({ command, stdout, stderr, exitCode }: Pick<Step, 'command' | 'stdout' | 'stderr' | 'exitCode'>): string {
  return [`$ ${command}`, ...stdout, ...stderr.map((line) => `2| ${line}`), `=${exitCode}`].join('\n')
}
