import type { OpenAPIV3_1 as OpenApi } from 'openapi-types'

const start = '#/components/schemas/'

/**
 * Gives each schema that is only sent, or only received, one name: `CreateJailInput` is `CreateJail`. What nothing refers to is
 * left out.
 */
export function withoutTwins(document: OpenApi.Document): OpenApi.Document {
  const schemas = document.components?.schemas ?? {}
  const used = referredTo(document.paths, schemas)
  const plainName = (name: string) => {
    const plain = name.replace(/Input$/, '')
    return used.has(plain) ? name : plain
  }
  const kept = [...used].map((name) => [plainName(name), schemas[name]])
  const renamed = { ...document, components: { ...document.components, schemas: Object.fromEntries(kept) } }
  return JSON.parse(JSON.stringify(renamed), (key, value) =>
    key === '$ref' && typeof value === 'string' && value.startsWith(start) ? start + plainName(value.slice(start.length)) : value,
  )
}

/** Returns the names of the schemas that something refers to, also those that others of them refer to. */
function referredTo(value: unknown, schemas: Record<string, unknown>, found = new Set<string>()): Set<string> {
  for (const [, name = ''] of JSON.stringify(value ?? null).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
    if (found.has(name)) continue
    found.add(name)
    referredTo(schemas[name], schemas, found)
  }
  return found
}
