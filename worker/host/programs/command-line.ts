import { quote } from 'shlex'
import { hideCredentials } from '#shared/credentials.ts'

const mostOfWord = 1_000
const named: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\\': '\\\\', "'": "\\'" }

/** Returns a command in one line, as a shell would read it, without credentials; of a very long word only the beginning. */
export function commandLine(words: readonly string[]): string {
  return words.map((word) => quoteWord(shorten(hideCredentials(word)))).join(' ')
}

function shorten(word: string): string {
  return word.length > mostOfWord ? `${word.slice(0, mostOfWord)}…` : word
}

/** What would break the line or reach the terminal is written as in `$'…'` of sh(1). */
function quoteWord(word: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is them that are looked for.
  if (!/[\u0000-\u001f\u007f-\u009f]/.test(word)) return quote(word)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is them that are looked for.
  const escaped = word.replaceAll(/[\u0000-\u001f\u007f-\u009f\\']/g, (sign) => named[sign] ?? octalOf(sign))
  return `$'${escaped}'`
}

function octalOf(sign: string): string {
  return [...Buffer.from(sign)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
}
