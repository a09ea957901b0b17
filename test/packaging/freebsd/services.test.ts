import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { readProducerConfig } from '../../../producer/config.ts'
import { readWorkerConfig } from '../../../worker/config/config.ts'
import { bootScript } from '../../../worker/host/freebsd/jail/boot-service.ts'
import { findProgram } from '../../../worker/host/programs/run-command.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'provost-packaging-'))
afterAll(() => rmSync(scratch, { recursive: true }))

describe('the samples', () => {
  it.each(['freebsd', 'docker'])('of a worker are right: %s', (kind) => {
    expect(readWorkerConfig({}, `${root}/packaging/${kind}/worker.yaml`)).toMatchObject({
      runtime: kind === 'docker' ? 'linux' : 'freebsd',
    })
  })

  it('of a producer is right', () => {
    const key = { PROVOST_API_KEY: '0123456789abcdef' }
    expect(readProducerConfig(key, `${root}/packaging/freebsd/producer.yaml`)).toMatchObject({ hosts: ['host1'] })
  })
})

/** What an rc.d script leaves in its variables for rc.subr(8), with `settings` as rc.conf(5) would have them. */
function rcVariables(script: string, settings = ''): Record<string, string> {
  const subr = join(scratch, 'rc.subr')
  const names = 'name desc rcvar pidfile required_files command command_args PATH'
  const stub = `load_rc_config() { ${settings || ':'}; }
run_rc_command() { for each in ${names}; do eval "echo \\"$each=\\$$each\\""; done; echo "argument=$1"; }
`
  writeFileSync(subr, stub)
  const text = readFileSync(`${root}/packaging/freebsd/rc.d/${script}`, 'utf8').replace('. /etc/rc.subr', `. ${subr}`)
  const file = join(scratch, script)
  writeFileSync(file, text)
  const lines = execFileSync('/bin/sh', ['-eu', file, 'start'], { encoding: 'utf8' }).trim().split('\n')
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}

describe('the rc.d scripts', () => {
  const daemon = (name: string) => `-P /var/run/${name}.pid -R 5 -S -T ${name}`
  const provost = '/usr/local/libexec/provost/bin/provost'

  it('start the worker under daemon(8), with its YAML', () => {
    expect(rcVariables('provost_worker')).toMatchObject({
      name: 'provost_worker',
      rcvar: 'provost_worker_enable',
      pidfile: '/var/run/provost_worker.pid',
      required_files: '/usr/local/etc/provost/worker.yaml',
      command: '/usr/sbin/daemon',
      command_args: `${daemon('provost_worker')} ${provost} worker --config /usr/local/etc/provost/worker.yaml`,
      PATH: expect.stringContaining('/usr/local/bin'),
      argument: 'start',
    })
    const other = rcVariables('provost_worker', 'provost_worker_config=/etc/other.yaml')
    expect(other['command_args']).toContain('--config /etc/other.yaml')
  })

  it('start the producer without root, with a file only where one is named', () => {
    const plain = rcVariables('provost_producer')
    expect(plain['command_args']).toBe(`${daemon('provost_producer')} -u nobody ${provost} producer`)
    expect(plain['required_files']?.trim()).toBe('/usr/local/etc/provost/producer.env')
    const own = rcVariables('provost_producer', 'provost_producer_runas=provost; provost_producer_config=/p.yaml')
    expect(own['command_args']).toBe(`${daemon('provost_producer')} -u provost ${provost} producer --config /p.yaml`)
  })

  it('are ordered so that the worker finds the jails that came back at boot', () => {
    const header = (script: string) => readFileSync(`${root}/packaging/freebsd/rc.d/${script}`, 'utf8').split('\n. /etc/')[0]
    expect(header('provost_worker')).toMatch(
      /^# PROVIDE: provost_worker\n# REQUIRE: LOGIN FILESYSTEMS jail\n# KEYWORD: .*shutdown$/m,
    )
    expect(bootScript).toMatch(/^# BEFORE: .*\bprovost_worker\n# KEYWORD: .*shutdown$/m)
    expect(header('provost_producer')).toMatch(
      /^# PROVIDE: provost_producer\n# REQUIRE: LOGIN FILESYSTEMS\n# KEYWORD: shutdown$/m,
    )
  })

  it('use every variable that they tell of', () => {
    for (const script of ['provost_worker', 'provost_producer']) {
      const text = readFileSync(`${root}/packaging/freebsd/rc.d/${script}`, 'utf8')
      const told = [...text.matchAll(/^# {3}(provost_\w+)/gm)].map(([, name]) => name)
      expect(told.length).toBeGreaterThanOrEqual(4)
      // rc.subr(8) itself reads NAME_env.
      for (const name of told.filter((each) => each !== `${script}_env`)) expect(text).toContain(`: "\${${name}:=`)
    }
  })
})

describe('the port', () => {
  const makefile = readFileSync(`${root}/packaging/freebsd/port/Makefile`, 'utf8')
  const plist = readFileSync(`${root}/packaging/freebsd/port/pkg-plist`, 'utf8').trim().split('\n')

  it('lists what it installs, and installs what it lists', () => {
    const names = plist.map((line) => line.split('/').at(-1)?.replace(/\.gz$/, ''))
    for (const name of names) expect(makefile).toContain(name)
    const installed = [...makefile.matchAll(/^\t\$\{INSTALL_\w+\} \$\{WRKSRC\}\/(packaging\/freebsd\/\S+)/gm)].map(
      ([, path]) => path,
    )
    for (const path of installed) expect(existsSync(join(root, path ?? '')), path).toBe(true)
    expect(installed.length + 1).toBe(plist.length)
  })

  it('edits files that are there', () => {
    const [, edited = ''] = /^post-patch:\n([\s\S]*?)\n\n/m.exec(makefile) ?? []
    const paths = [...edited.matchAll(/\$\{WRKSRC\}\/(\S+)/g)].map(([, path = '']) => path.replace(/\/\*$/, ''))
    expect(paths.length).toBeGreaterThan(4)
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })

  it('has every tree and file that the services need', () => {
    const listed = (name: string) => new RegExp(`^${name}=\\s+(.*)$`, 'm').exec(makefile)?.[1]?.split(/\s+/) ?? []
    for (const path of [...listed('APP_TREES'), ...listed('APP_FILES')]) expect(existsSync(join(root, path)), path).toBe(true)
    const started = [...readFileSync(`${root}/bin/provost`, 'utf8').matchAll(/main=(\w+)\//g)].map(([, tree]) => tree)
    expect(listed('APP_TREES')).toEqual(expect.arrayContaining([...new Set(started), 'shared', 'node_modules']))
  })

  it('is indented as make(1) wants it', () => {
    expect(makefile.split('\n').filter((line) => /^ /.test(line))).toEqual([])
  })
})

const analyze = findProgram('systemd-analyze', '/bin:/usr/bin')
if (!analyze) console.error('\nNOT RUN HERE: the check of the systemd units: there is no systemd-analyze\n')

describe.skipIf(!analyze)('the systemd units', () => {
  it.each(['provost-worker.service', 'provost-producer.service'])('are what systemd understands: %s', (unit) => {
    const text = readFileSync(`${root}/packaging/systemd/${unit}`, 'utf8')
    writeFileSync(join(scratch, unit), text.replace('/usr/local/libexec/provost/bin/provost', '/bin/true'))
    const { status, stderr } = spawnSync(analyze ?? '', ['verify', join(scratch, unit)], { encoding: 'utf8' })
    // It also tells of other units of this machine.
    expect({ status, told: stderr.split('\n').filter((line) => line.includes(unit)) }).toEqual({ status: 0, told: [] })
  })
})
