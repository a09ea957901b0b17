/** A command or a write of the journal that was seen, the n-th of its kind since its worker began to count. */
export type Point = {
  /** A command's program and verb, or what is written. */
  label: string
  nth: number
  sort: 'command' | 'write' | 'rename'
  /** How many lines a command reads, each an effect of its own. */
  lines: number
  /** How long it took. */
  ms: number
}

/**
 * When the worker is killed at a point. While a command runs: `stuck` before it does anything, and it lives on; `alone`, and
 * it goes on by itself; `line` after so many of its lines; `cut` after so long, the command too. `half`: of what is written.
 */
export type When =
  | { at: 'before' | 'after' | 'stuck' | 'alone' | 'half' }
  | { at: 'line'; lines: number }
  | { at: 'cut'; seconds: number }

export type Kill = Pick<Point, 'label' | 'nth'> & { when: When }

const words = 4

/** A program with its verb: what stands in its arguments that names no file, jail or number. */
export function commandLabel(program: string, args: string[]): string {
  const verbs = args.filter((arg) => /^-?[a-z]{2,}$/.test(arg) && !/^-{2}/.test(arg))
  return [program, ...new Set(verbs)].slice(0, words).join(' ')
}

/** What a journal's lines say: their types, and of steps what became of them. */
export function writeLabel(text: string): string {
  const entries = text
    .split('\n')
    .filter(Boolean)
    .map((line): Record<string, string> => JSON.parse(line))
  const said = entries.map(({ type, step, mark, status }) => [type, step, mark, status].filter(Boolean).join(' '))
  return `journal: ${said.join(', ')}`
}

export function whensOf({ sort, lines, ms }: Point): When[] {
  const [before, after] = [{ at: 'before' }, { at: 'after' }] as const
  if (sort === 'rename') return [before, after]
  if (sort === 'write') return [before, { at: 'half' }, after]
  const parts: When[] =
    lines > 1
      ? Array.from({ length: lines - 1 }, (_, i) => ({ at: 'line', lines: i + 1 }))
      : [1, 2].map((third) => ({ at: 'cut', seconds: Math.round(ms * third) / 3_000 }))
  return [before, { at: 'stuck' }, { at: 'alone' }, ...parts, after]
}

export function columnOf({ at }: When): 'before' | 'during' | 'after' {
  return at === 'before' || at === 'after' ? at : 'during'
}

export function describeKill({ label, nth, when }: Kill): string {
  const detail = when.at === 'line' ? ` ${when.lines}` : when.at === 'cut' ? ` after ${when.seconds.toFixed(3)} s` : ''
  return `${when.at}${detail} ${label}${nth > 1 ? ` (${nth})` : ''}`
}
