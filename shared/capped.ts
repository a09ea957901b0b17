/** How many characters of a text go into a record: what a jail or a program printed may be of any length. */
const mostCharacters = 16 * 1024

/** Returns a text of at most 16,384 characters: its beginning and its end where it is longer, and how much is left out. */
export function capped(text: string, most = mostCharacters): string {
  if (text.length <= most) return text
  const half = Math.floor(most / 2) - 32
  return `${text.slice(0, half)}… (${text.length - 2 * half} characters left out) …${text.slice(-half)}`
}
