import { z } from 'zod'

const factors = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 } as const

/** A number of bytes, or a string like `512M` (K, M and G are powers of 1024), parsed to bytes. */
export const Size = z.union([z.number(), z.string()]).transform((value, context) => {
  const bytes = typeof value === 'number' ? value : parseSize(value)
  if (bytes !== undefined && Number.isSafeInteger(bytes) && bytes > 0) return bytes
  context.addIssue({ code: 'custom', message: 'must be a whole number of bytes or a size like 512M (K, M or G)' })
  return z.NEVER
})

function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15})([KMG]?)$/.exec(text)
  if (!match) return undefined
  return Number(match[1]) * factors[match[2] as keyof typeof factors]
}

const units = ['', 'K', 'M', 'G', 'T'] as const

/** Formats bytes: whole numbers as a size that a request can have, like `512M`, others with one decimal. */
export function formatBytes(bytes: number): string {
  let power = 0
  while (power < units.length - 1 && bytes >= 1024 ** (power + 1)) power += 1
  const amount = bytes / 1024 ** power
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)}${units[power]}`
}
