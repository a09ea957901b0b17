import type { FileHandle } from 'node:fs/promises'
import { repeat } from '#shared/process/repeat.ts'

const pollMs = 200

/** Calls `onText` with what is new in a growing file, whole lines at a time. `end` calls it with the rest. */
export function followFile(file: FileHandle, onText: (text: string) => void): { end(): Promise<void> } {
  let position = 0
  const readNew = async () => {
    const { size } = await file.stat()
    if (size <= position) return
    const buffer = Buffer.alloc(size - position)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
    const whole = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1
    position += whole
    if (whole > 0) onText(buffer.toString('utf8', 0, whole))
  }
  const following = repeat('follow-file', pollMs, readNew)
  return {
    async end() {
      await following.stop()
      await readNew()
    },
  }
}
