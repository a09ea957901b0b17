type Sample = { atMs: number; ended: number }

const windowMs = 5_000
const windows = 60

/** Measures how fast the rows of a batch end, in windows of `windowMs`. */
export function makeRate() {
  const samples: Sample[] = []

  return {
    /** Notes how many rows have ended so far. */
    note(ended: number, atMs: number): void {
      const last = samples.at(-1)
      if (last && atMs - last.atMs < windowMs) return
      samples.push({ atMs, ended })
      if (samples.length > windows) samples.shift()
    },
    /** Returns rows a minute, and the seconds until `left` more have ended; undefined until it is known. */
    now(left: number): { rate: number; eta: { p50: number; p90: number } } | undefined {
      const rates = samples.slice(1).map(({ atMs, ended }, i) => {
        const before = samples[i] as Sample
        return ((ended - before.ended) / (atMs - before.atMs)) * 60_000
      })
      const [slow, usual] = [quantile(rates, 0.1), quantile(rates, 0.5)]
      if (usual <= 0) return undefined
      const secondsAt = (rate: number) => Math.round((left / rate) * 60)
      return { rate: Math.round(usual * 10) / 10, eta: { p50: secondsAt(usual), p90: secondsAt(slow > 0 ? slow : usual / 2) } }
    },
  }
}

function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
