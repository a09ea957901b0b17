import { stat } from 'node:fs/promises'
import type { CommandState } from '#shared/jail.ts'
import { undefinedIfAbsent } from '../files/paths.ts'

/** Returns when a file was last written, RFC 3339 UTC; undefined when it is not there. */
export async function writtenAt(path: string): Promise<string | undefined> {
  return (await stat(path).catch(undefinedIfAbsent))?.mtime.toISOString()
}

export function running(startedAt: string): CommandState {
  return { state: 'running', exitCode: null, startedAt, endedAt: null }
}

/** `code`: what was noted of the exit code, if anything was. */
export function ended(startedAt: string, code: string | undefined, endedAt: string | undefined): CommandState {
  return { state: 'ended', exitCode: code === undefined ? null : Number(code), startedAt, endedAt: endedAt ?? null }
}
