import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { writeWhole } from './state-directory.ts'

type Settings = {
  url: string
  key: string
  filesOf(host: string): { identity: string; joinTokenFile: string }
  signal: AbortSignal
}

const pollMs = 20

/** Writes a join token for each host that has not joined yet, once the producer answers. @throws `signal.reason` */
export async function inviteHosts(ids: string[], { url, key, filesOf, signal }: Settings): Promise<void> {
  for (const id of ids.filter((each) => !existsSync(filesOf(each).identity)))
    writeWhole(filesOf(id).joinTokenFile, `${await invite(`${url}/v1/hosts/${id}/invite`, key, signal)}\n`)
}

async function invite(url: string, key: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    signal.throwIfAborted()
    const response = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${key}` } }).catch(() => undefined)
    if (response?.ok) return z.object({ token: z.string() }).parse(await response.json()).token
    await pause(pollMs)
  }
}
