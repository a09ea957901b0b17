import slugify from '@sindresorhus/slugify'
import type { z } from 'zod'
import { Hostname, JailName, PlainName } from '#shared/jail.ts'

type Suggest = (value: string) => string | undefined

const plainName: Suggest = (value) => valid(PlainName, value.toLowerCase()) ?? valid(PlainName, slug(value, '-', 63))
const size: Suggest = (value) => {
  const [, amount = '', unit = ''] = /^(\d+(?:[.,]\d+)?) ?([kmgt])i?b?$/i.exec(value) ?? []
  const bytes = Number(amount.replace(',', '.')) * 1024 ** (' kmgt'.indexOf(unit.toLowerCase()) || 0)
  if (bytes === 0 || (/,\d{3}$/.test(amount) && !amount.startsWith('0,'))) return undefined
  for (const [i, name] of ['G', 'M', 'K'].entries()) if (bytes % 1024 ** (3 - i) === 0) return `${bytes / 1024 ** (3 - i)}${name}`
  return undefined
}

/** By field of a request for a jail. */
const suggestions: Record<string, Suggest> = {
  name: (value) => valid(JailName, value.toLowerCase()) ?? valid(JailName, slug(value, '_', 30)),
  client: plainName,
  world: plainName,
  host: plainName,
  hostname: (value) =>
    valid(
      Hostname,
      value
        .split('.')
        .map((label) => slug(label, '-', 63))
        .join('.'),
    ),
  'limits.memory': size,
  'limits.disk': size,
  'limits.cpu': (value) => (/^\d+,\d{3}$/.test(value) ? `${value.replace(',', '.')} or ${value.replace(',', '')}` : undefined),
  'limits.processes': (value) => (/^\d{1,3}([., ']\d{3})+$/.test(value) ? value.replaceAll(/\D/g, '') : undefined),
}

/** Returns what might be meant by a value that a field cannot have, like `acme-gmbh` for `Acme GmbH`; undefined if unclear. */
export function suggestValue(field: string, value: string): string | undefined {
  const suggestion = suggestions[field]?.(value)
  return suggestion === value ? undefined : suggestion
}

function slug(text: string, separator: string, length: number): string {
  return slugify(text, { separator, decamelize: false })
    .slice(0, length)
    .replace(/[-_]+$/, '')
}

function valid(schema: z.ZodString, text: string): string | undefined {
  return schema.safeParse(text).success ? text : undefined
}
