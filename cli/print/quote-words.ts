/** Formats the words of a command so that each can be told from the next; control characters are escaped. */
export function quoteWords(words: readonly string[]): string {
  return words.map((word) => (/^[A-Za-z0-9_./:@%+,=-]+$/.test(word) ? word : JSON.stringify(word))).join(' ')
}
