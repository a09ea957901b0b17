/**
 * Returns the id of an event: the generation of the records, which is the id of their fleet, and a sequence that rises within
 * it. A fleet whose Redis lost everything counts from 1 again.
 */
export function eventId(generation: string, sequence: number | string): string {
  return `${generation}-${sequence}`
}

/** Returns the parts of an id of an event. One that cannot be read is of no generation. */
export function readEventId(id: string): { generation: string; sequence: number } {
  const [, generation = '', sequence = '0'] = /^(.+)-(\d{1,15})$/.exec(id) ?? []
  return { generation, sequence: Number(sequence) }
}
