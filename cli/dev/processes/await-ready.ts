import { setTimeout as pause } from 'node:timers/promises'

const pollMs = 50
const tellEveryMs = 5_000

/** Settles when `/readyz` answers 200; says now and then what is waited for. */
export async function awaitReady(url: string, say: (line: string) => void, signal: AbortSignal): Promise<void> {
  let toldAt = performance.now()
  while (!signal.aborted) {
    const reason = await whyNotReady(url)
    if (reason === undefined) return
    if (performance.now() - toldAt > tellEveryMs) {
      toldAt = performance.now()
      say(`not ready yet: ${reason}`)
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
