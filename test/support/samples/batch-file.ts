export const csv = 'text/csv'
export const ndjson = 'application/x-ndjson'

export const header = 'name,client,world\n'

/** The lines of a CSV file with so many jails. */
export function csvOf(count: number, name = 'web'): string {
  return header + Array.from({ length: count }, (_, i) => `${name}${i + 1},acme,tiny\n`).join('')
}
