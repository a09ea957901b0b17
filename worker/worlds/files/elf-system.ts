import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Programs that a userland has, whatever else it has; some of those of Debian are links. */
const programs = ['bin/sh', 'bin/ls', 'usr/bin/dash', 'bin/dash', 'usr/bin/env', 'usr/bin/ls', 'bin/busybox', 'sbin/init']

/** EI_OSABI, the eighth byte of a program: elf(5). Linux leaves it 0, as System V, unless a program needs GNU's own symbols. */
const systems: Record<number, string> = { 0: 'linux', 3: 'linux', 9: 'freebsd' }

/** Returns the operating system that a tree's programs are for, by the first that is there; undefined when that cannot be told. Follows no link. */
export async function systemOfTree(directory: string): Promise<string | undefined> {
  for (const program of programs) {
    const system = await systemOf(directory, program)
    if (system) return system
  }
  return undefined
}

async function systemOf(directory: string, program: string): Promise<string | undefined> {
  for (let parent = dirname(program); parent !== '.'; parent = dirname(parent))
    if (!(await lstat(join(directory, parent)).catch(() => undefined))?.isDirectory()) return undefined
  const path = join(directory, program)
  if (!(await lstat(path).catch(() => undefined))?.isFile()) return undefined
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(8), 0, 8, 0)
    const isElf = bytesRead === 8 && buffer.subarray(0, 4).equals(Buffer.from('\x7fELF'))
    return isElf ? systems[buffer.readUInt8(7)] : undefined
  } finally {
    await file.close()
  }
}
