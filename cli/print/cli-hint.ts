/** What hints of the producer say of HTTP, and what it is called here. */
const words: [RegExp, string][] = [
  [/"Content-Type: text\/csv; charset=windows-1252"/g, '--encoding windows-1252'],
  [
    /Send the header "Content-Type: text\/csv", or application\/x-ndjson or application\/json\./g,
    'Say what it is with --format.',
  ],
  [
    /POST [^ ]*\/v1\/batches\/rejects returns them as a file to correct\./g,
    '--rejects FILE leaves them out, too, and writes them into a file to correct.',
  ],
  [/skipInvalid=true/g, '--skip-invalid'],
  [/clientName/g, 'the column clientName, or --client-name'],
  [/Send the header "Authorization: Bearer KEY" with ((?:a|the) key)/g, 'Set PROVOST_API_KEY to $1'],
  [/GET [^ ]*\/v1\/(worlds|hosts)/g, '`provost $1`'],
  [/Use a new Idempotency-Key for a new request\./g, 'Use a new --idempotency-key for a new file.'],
  [/after Retry-After; under one Idempotency-Key it is done once/g, 'in a moment'],
  [/as long as Retry-After says/g, 'a moment'],
]

/** Returns a hint of the producer in the words of these commands. */
export function cliHint(hint: string): string {
  return words.reduce((text, [pattern, by]) => text.replaceAll(pattern, by), hint)
}
