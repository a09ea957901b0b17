import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const main = fileURLToPath(new URL('../../../worker/doctor/main.ts', import.meta.url))
const isRoot = process.getuid?.() === 0

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'provost-doctor-'))
  mkdirSync(join(directory, 'bin'))
  mkdirSync(join(directory, 'etc'))
})
afterEach(() => rmSync(directory, { recursive: true }))

/** Runs provost doctor on programs that answer as those of a well-kept FreeBSD do, but for what a test changes. */
function doctor(programs: Record<string, string> = {}, args: string[] = ['--json']) {
  const answers: Record<string, string> = {
    'freebsd-version': 'echo 14.4-RELEASE-p10',
    sysctl: 'echo 1',
    devfs: 'case $3 in 1) echo 100 hide ;; *) echo 100 include 1 ;; esac',
    ifconfig: `printf 'em0: flags=8863<UP> metric 0 mtu 1500\\n\\tinet 192.0.2.10 netmask 0xffffff00\\n'`,
    sysrc: ':',
    mount: `echo '{"mount": {"fstab": [{"device":"/dev/ada0p2","mntpoint":"/","fstype":"ufs","opts":"rw"}]}}'`,
    zfs: 'echo "cannot open: dataset does not exist" >&2; exit 1',
    ...programs,
  }
  const silent = [
    'chflags',
    'cpuset',
    'daemon',
    'jail',
    'jexec',
    'jls',
    'make',
    'pkg',
    'ps',
    'rctl',
    'rm',
    'sync',
    'tar',
    'umount',
  ]
  for (const name of [...silent, ...Object.keys(answers)])
    writeFileSync(join(directory, 'bin', name), `#!/bin/sh\n${answers[name] ?? ''}\n`, { mode: 0o755 })
  const config = {
    host: 'one',
    runtime: 'freebsd',
    root: join(directory, 'provost'),
    commandPath: join(directory, 'bin'),
    etcDir: join(directory, 'etc'),
    network: { mode: 'shared', interface: 'em0', pools: [{ name: 'main', cidr: '203.0.113.0/24' }] },
    capacity: { jails: 10, memory: '8G', cpu: 8 },
    defaults: { memory: '64M', cpu: 0.5, processes: 50 },
    worlds: [{ name: 'base', method: 'pkgbase', release: '15.0' }],
  }
  const file = join(directory, 'worker.yaml')
  writeFileSync(file, JSON.stringify(config))
  const env = { PATH: process.env['PATH'] ?? '', PROVOST_REDIS_URL: 'redis://127.0.0.1:1' }
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, '--config', file, ...args], { env, encoding: 'utf8' })
  const checks: { name: string; ok: boolean; detail: string; remedy?: string }[] =
    args.includes('--json') && stdout ? JSON.parse(stdout).checks : []
  return { status, stdout, stderr, checks, failed: checks.filter(({ ok }) => !ok) }
}

describe('provost doctor on FreeBSD', () => {
  it('finds a well-kept host fit, without Redis', () => {
    const { status, failed, checks } = doctor()
    expect(failed.map(({ name }) => name)).toEqual(isRoot ? [] : ['root privileges'])
    expect(status).toBe(isRoot ? 0 : 1)
    expect(checks.find(({ name }) => name === 'clock')).toMatchObject({ ok: true, remedy: expect.any(String) })
  })

  it('names each fault with its remedy, and ends with 1', () => {
    const { status, failed } = doctor({
      'freebsd-version': 'echo 14.4-RELEASE-p9',
      sysctl: 'echo 0',
      devfs: ':',
      ifconfig: `printf 'em0: flags=8863<UP> metric 0 mtu 1500\\n\\tinet 203.0.113.7 netmask 0xffffff00\\n'`,
    })
    expect(status).toBe(1)
    const names = failed.map(({ name }) => name).filter((name) => name !== 'root privileges')
    expect(names.toSorted()).toEqual(['devfs rulesets', 'pools', 'rctl', 'release'])
    expect(failed.every(({ remedy, detail }) => Boolean(remedy && detail))).toBe(true)
  })

  it('asks of a host that was enrolled what brings its jails back at boot', () => {
    mkdirSync(join(directory, 'provost/journal'), { recursive: true })
    const root = join(directory, 'provost/roots/web1/tree')
    writeFileSync(join(directory, 'etc/jail.conf'), '')
    const jail = `printf 'name=web1\\npath=${root}\\n'`
    const { failed } = doctor({ sysrc: 'echo provost_jails_enable: NO', jail })
    const boot = failed.filter(({ name }) => ['boot', 'jail.conf'].includes(name))
    expect(boot.map(({ name, detail }) => [name, /provost_jails_\w+ lacks|has the jail \w+/.exec(detail)?.[0]])).toEqual([
      ['boot', 'provost_jails_boot lacks'],
      ['jail.conf', 'has the jail web1'],
    ])
  })

  it('prints a line for each check to a person, and the remedy below', () => {
    const { stdout } = doctor({ sysctl: 'echo 0' }, [])
    expect(stdout).toMatch(/^FAILED rctl: kern\.racct\.enable is 0.*\n {7}Put kern\.racct\.enable=1 into \/boot\/loader\.conf/m)
    expect(stdout).toMatch(/^note {3}clock: /m)
    expect(stdout).toMatch(/^ok {5}release: 14\.4-RELEASE-p10/m)
  })

  it('ends with 2 for wrong use, and for a file that is not there', () => {
    expect(doctor({}, ['--jsno'])).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('--jsno') })
    expect(doctor({}, ['--config', '/none.yaml'])).toMatchObject({ status: 2, stderr: expect.stringContaining('/none.yaml') })
  })
})
