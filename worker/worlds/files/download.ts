import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { ProvostError } from '#shared/errors.ts'

/** A server that sends nothing for so long counts as gone. */
const silentMs = 30_000
const maxConnections = 20

type Download = {
  url: string
  file: string
  signal: AbortSignal
  /** Called with how much has come, from 0 to 1; not for a server that does not send the length. */
  progress(fraction: number): void
}

/**
 * Downloads a file and returns its sha256. A connection that breaks is resumed where it broke, as long as each one brings
 * something.
 * @throws ProvostError `world_source_missing`, `mirror_unavailable`.
 */
export async function download({ url, file, signal, progress }: Download): Promise<string> {
  const target = await open(file, 'w', 0o600)
  const state: State = { offset: 0, hash: createHash('sha256'), version: undefined }
  try {
    for (let connection = 1; ; connection += 1) {
      const before = state.offset
      try {
        await receive(url, target, state, signal, progress)
        return state.hash.digest('hex')
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof ProvostError || isLocal(error)) throw error
        if (state.offset <= before || connection === maxConnections)
          throw new ProvostError('mirror_unavailable', `${url}: ${causeOf(error)} after ${state.offset} bytes.`, { cause: error })
      }
    }
  } finally {
    await target.close()
  }
}

/** Downloads a small text, like a MANIFEST. @throws ProvostError `world_source_missing`, `mirror_unavailable`. */
export async function downloadText(url: string, signal: AbortSignal): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(silentMs)]) })
    refuse(response, url)
    return await response.text()
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ProvostError) throw error
    throw new ProvostError('mirror_unavailable', `${url}: ${causeOf(error)}.`, { cause: error })
  }
}

type State = { offset: number; hash: ReturnType<typeof createHash>; version: string | undefined }

async function receive(url: string, target: FileHandle, state: State, signal: AbortSignal, progress: Download['progress']) {
  const silence = new AbortController()
  const listen = () => setTimeout(() => silence.abort(new Error(`nothing came for ${silentMs / 1000} s`)), silentMs)
  let timer = listen()
  try {
    // If-Range: the rest of the same file only; a file that has changed since comes whole.
    const resume = state.offset > 0 && state.version ? { range: `bytes=${state.offset}-`, 'if-range': state.version } : {}
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, silence.signal]),
      headers: { 'accept-encoding': 'identity', ...resume },
    })
    refuse(response, url)
    if (response.status !== 206) Object.assign(state, { offset: 0, hash: createHash('sha256') })
    state.version = versionOf(response)
    const total = state.offset + Number(response.headers.get('content-length') ?? Number.NaN)
    for await (const chunk of response.body ?? []) {
      clearTimeout(timer)
      timer = listen()
      await target.write(chunk, 0, chunk.length, state.offset)
      state.hash.update(chunk)
      state.offset += chunk.length
      if (total > 0) progress(state.offset / total)
    }
    await target.truncate(state.offset)
  } finally {
    clearTimeout(timer)
  }
}

/** Returns what If-Range accepts: a strong ETag, or else the date. */
function versionOf({ headers }: Response): string | undefined {
  const tag = headers.get('etag')
  return tag && !tag.startsWith('W/') ? tag : (headers.get('last-modified') ?? undefined)
}

function refuse(response: Response, url: string): void {
  if (response.ok) return
  const { status } = response
  const passing = status >= 500 || status === 408 || status === 416 || status === 429
  throw new ProvostError(passing ? 'mirror_unavailable' : 'world_source_missing', `${url} answers ${status}.`)
}

/** Whether it is a fault of this host's disk, like ENOSPC, not of the connection. */
function isLocal(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'write'
}

// The message of fetch is only "fetch failed" or "terminated"; what happened is its cause.
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message || cause.name : String(cause)
}
