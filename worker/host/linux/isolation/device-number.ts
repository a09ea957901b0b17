/** Returns the number of a device from stat(2) as `MAJOR:MINOR`, as the kernel writes it, makedev(3). */
export function deviceNumber(device: number): string {
  return `${(device >>> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`
}
