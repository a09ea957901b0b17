import { setTimeout as pause } from 'node:timers/promises'

const pollMs = 50
const printEveryMs = 5_000

/** Waits until `/readyz` answers 200, and prints every few seconds what is missing. @throws `signal.reason` */
export async function awaitReady(url: string, print: (line: string) => void, signal: AbortSignal): Promise<void> {
  let printedAt = performance.now()
  while (!signal.aborted) {
    const reason = await whyNotReady(url)
    if (reason === undefined) return
    if (performance.now() - printedAt > printEveryMs) {
      printedAt = performance.now()
      print(`not ready yet: ${reason}`)
    }
    await pause(pollMs)
  }
  throw signal.reason
}

async function whyNotReady(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/readyz`)
    const text = await response.text()
    return response.status === 200 ? undefined : reasonOf(text)
  } catch {
    return 'the producer does not answer'
  }
}

function reasonOf(text: string): string {
  try {
    const { reasons } = JSON.parse(text) as { reasons?: unknown }
    return Array.isArray(reasons) ? reasons.join('; ') : text
  } catch {
    return text
  }
}
