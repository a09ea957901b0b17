import { open } from 'node:fs/promises'

const interpreterSegment = 3

/** Whether an ELF program runs without a loader, elf(5): it has no PT_INTERP segment. */
export async function isStaticProgram(path: string): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const { buffer } = await file.read(Buffer.alloc(4_096), { position: 0 })
    const isElf64 = buffer.readUInt32BE(0) === 0x7f454c46 && buffer[4] === 2
    if (!isElf64) return false
    const [offset, size, count] = [Number(buffer.readBigUInt64LE(32)), buffer.readUInt16LE(54), buffer.readUInt16LE(56)]
    const types = Array.from({ length: count }, (_, i) => buffer.readUInt32LE(offset + i * size))
    return !types.includes(interpreterSegment)
  } finally {
    await file.close()
  }
}
