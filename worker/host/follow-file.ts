import type { FileHandle } from 'node:fs/promises'

const pollMs = 200

/** Calls `onText` with what is new in a growing file, whole lines at a time. `end` gives the last of it. */
export function followFile(file: FileHandle, onText: (text: string) => void): { end(): Promise<void> } {
  let position = 0
  let reading: Promise<void> = Promise.resolve()
  const readNew = async () => {
    const { size } = await file.stat()
    if (size <= position) return
    const buffer = Buffer.alloc(size - position)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
    const whole = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1
    position += whole
    if (whole > 0) onText(buffer.toString('utf8', 0, whole))
  }
  const next = () => {
    reading = reading.then(readNew)
    return reading
  }
  const timer = setInterval(next, pollMs)
  return {
    end: async () => {
      clearInterval(timer)
      await next()
    },
  }
}
