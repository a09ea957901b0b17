import { spawnSync } from 'node:child_process'

const path = '/sbin:/bin:/usr/sbin:/usr/bin'

/** Runs a program of a FreeBSD host, whatever comes of it. Returns what is on its standard output. */
export function output(program: string, ...args: string[]): string {
  return spawnSync(program, args, { encoding: 'utf8', env: { PATH: path } }).stdout ?? ''
}

/** The same. @throws Error when it fails. */
export function must(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', env: { PATH: path } })
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')}: ${error?.message ?? stderr}`)
  return stdout
}
