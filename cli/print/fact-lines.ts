/** A name and its value; a fact without a value is left out. */
export type Fact = [name: string, value: string | undefined]

/** Formats one line for each fact, with aligned values. */
export function factLines(facts: Fact[]): string[] {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2
  return facts.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(width)}${value}`]))
}
