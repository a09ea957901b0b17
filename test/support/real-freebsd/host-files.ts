import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

/** What the start of a worker changes on a FreeBSD host beside its root (docs/freebsd.md). */
const files = ['/etc/rc.conf', '/etc/jail.conf', '/etc/rctl.conf', '/usr/local/etc/rc.d/provost_jails']

/** Keeps what a FreeBSD host has of the files that a worker changes. Returns what puts them back. */
export function keepHostFiles(): () => void {
  const kept = files.map((path) => [path, existsSync(path) ? readFileSync(path) : undefined] as const)
  return () => {
    for (const [path, content] of kept) {
      if (content === undefined) rmSync(path, { force: true })
      else writeFileSync(path, content)
    }
  }
}
