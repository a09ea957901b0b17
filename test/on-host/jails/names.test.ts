import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { whyNoLinuxJails } from '../../support/hosts/host-fitness.ts'
import { provision, type TrialHost, trialHost } from '../../support/hosts/trial-host.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: the names that jails resolve: ${whyNot}`)

const { signal } = new AbortController()

/** What the C library makes of a jail's /etc/hosts: the host's programs, with the jail's name and file. */
function resolve({ layout }: TrialHost, { name, hostname }: JailSpec, command: string): string {
  const hosts = join(layout.jail(name).root, 'etc/hosts')
  const script = `mount --bind ${hosts} /etc/hosts && echo ${hostname} > /proc/sys/kernel/hostname && ${command}`
  return execFileSync('unshare', ['--mount', '--uts', 'sh', '-c', script], { encoding: 'utf8' }).trim()
}

describe.skipIf(whyNot)('a jail', () => {
  it('resolves localhost and its own name, whole and short, as long as its client leaves that as it is', async () => {
    const trial = await trialHost()
    onTestFinished(trial.close)
    const jail = trial.jail({ hostname: 'web1.example.com' })
    await provision(trial.host, jail)
    const four = jail.addresses[0]?.split('/')[0]
    expect(resolve(trial, jail, 'hostname -f')).toBe('web1.example.com')
    expect(resolve(trial, jail, 'getent ahostsv4 localhost')).toMatch(/^127\.0\.0\.1 /)
    for (const name of ['web1', 'web1.example.com']) expect(resolve(trial, jail, `getent ahostsv4 ${name}`)).toContain(four)

    const hosts = join(trial.layout.jail(jail.name).root, 'etc/hosts')
    writeFileSync(hosts, '127.0.0.1 mine\n')
    await trial.host.removeJail(jail, signal)
    await trial.host.ensureJail(jail, signal)
    expect(readFileSync(hosts, 'utf8')).toBe('127.0.0.1 mine\n')
  })

  it('gets nothing written through a link that it has planted', async () => {
    const trial = await trialHost()
    onTestFinished(trial.close)
    const jail = trial.jail()
    const outside = join(trial.layout.root, 'of-the-host')
    await provision(trial.host, jail)
    await trial.host.removeJail(jail, signal)
    const hosts = join(trial.layout.jail(jail.name).root, 'etc/hosts')
    rmSync(hosts)
    symlinkSync(outside, hosts)
    await trial.host.ensureJail({ ...jail, hostname: 'other.example.com' }, signal)
    expect(existsSync(outside)).toBe(false)
  })
})
