/** A name and what is known of it; undefined: nothing, and it is left out. */
export type Fact = [name: string, value: string | undefined]

/** One line for each fact, the values below each other. */
export function factLines(facts: Fact[]): string[] {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2
  return facts.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(width)}${value}`]))
}
