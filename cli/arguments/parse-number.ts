import { InvalidArgumentError } from 'commander'

/** Parses the number of an option. @throws InvalidArgumentError */
export function parseNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.')
  return value
}
