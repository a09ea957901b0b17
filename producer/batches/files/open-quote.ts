/**
 * Returns the line, from 0, on which a quote opens that is not closed in that line; undefined if there is none. `text`: what is
 * left of a file after its last complete row.
 */
export function openQuoteIn(text: string, delimiter: string): number | undefined {
  let line = 0
  let isCellStart = true
  for (let i = 0; i < text.length; i += 1) {
    if (isCellStart && text[i] === '"') {
      const opened = line
      i = closingQuote(text, i + 1)
      line += text.slice(0, i).split('\n').length - 1 - line
      if (line > opened || i === text.length) return opened
    }
    if (text[i] === '\n') line += 1
    // Blanks before a quote are trimmed.
    isCellStart = text[i] === '\n' || text[i] === delimiter || (isCellStart && text[i] === ' ')
  }
  return undefined
}

/** Returns where a quoted cell ends; two quotes are one within it. */
function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 2)) if (text[at + 1] !== '"') return at
  return text.length
}
