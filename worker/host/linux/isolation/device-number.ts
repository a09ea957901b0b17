/** `MAJOR:MINOR` as the kernel writes it, of a device number as stat(2) gives it, makedev(3). */
export function deviceNumber(device: number): string {
  return `${(device >>> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`
}
