import { z } from 'zod'

/** A 204, for the description of a route. */
export const noContent = (description: string) => z.undefined().describe(description)

/** An answer that is not JSON, or a stream, for the description of a route: its schema or an example. Nothing of it is checked. */
export function contentOf(description: string, types: Record<string, z.ZodType | string>) {
  return {
    description,
    content: Object.fromEntries(
      Object.entries(types).map(([type, schema]) => [
        type,
        { schema: typeof schema === 'string' ? z.string().meta({ examples: [schema] }) : schema },
      ]),
    ),
  }
}
