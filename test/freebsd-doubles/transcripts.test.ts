import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type InJail, type SimulatedFreebsd, simulatedFreebsd } from '../support/freebsd/simulated-freebsd.ts'

/** The doubles against what FreeBSD's own jail(8) and jls(8) printed: each row is one of theirs. */
let directory: string
let freebsd: SimulatedFreebsd
let inJail: InJail
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'provost-double-'))
  inJail = () => ({})
  freebsd = simulatedFreebsd(directory, (jail, argv) => inJail(jail, argv))
  mkdirSync(join(directory, 'a/dev'), { recursive: true })
})
afterEach(() => rmSync(directory, { recursive: true }))

const conf = (text: string) => {
  const path = join(directory, 'jail.conf')
  writeFileSync(path, text.replaceAll('R/', `${directory}/`))
  return path
}
async function jail(text: string, ...args: string[]) {
  const { exitCode, stdout, stderr } = await freebsd.run('jail', ['-f', conf(text), ...args], { okExitCodes: [1] })
  const short = (output: string) => output.replaceAll(`${directory}/`, 'R/').replaceAll('R/jail.conf', 'F')
  return { exitCode, stdout: short(stdout), stderr: short(stderr) }
}
const hostCommands = () =>
  freebsd.commands.filter(([program]) => !['jail', 'jls'].includes(program ?? '')).map((argv) => argv.join(' '))

describe('jail -e', () => {
  const rows: [string, string, object][] = [
    ['a jail', 'a { path="R/a"; persist; }', { exitCode: 0, stdout: 'name=a|path=R/a|persist\n', stderr: '' }],
    ['no semicolon', 'a {\npersist }', { exitCode: 1, stderr: 'jail: F line 2: }: syntax error\n' }],
    ['no brace', 'a { persist;', { exitCode: 1, stderr: 'jail: F: unexpected EOF\n' }],
    ['an open quote', 'a { path="x; }', { exitCode: 1, stderr: 'jail: F line 1: unterminated string\n' }],
    ['an open comment', 'a { /* }', { exitCode: 1, stderr: 'jail: F line 1: unterminated comment\n' }],
    ['no value', 'a { path=; }', { exitCode: 1, stderr: 'jail: F line 1: ;: syntax error\n' }],
    ['two values beside each other', 'a { p="a" "b"; }', { exitCode: 1, stderr: 'jail: F line 1: "b": syntax error\n' }],
    ['no braces at all: a parameter of every jail', 'a = persist;', { exitCode: 0, stdout: '', stderr: '' }],
    ['an empty file', '', { exitCode: 0, stdout: '', stderr: '' }],
    ['a byte above 0x7f between blocks', 'é junk {{{', { exitCode: 0, stdout: '', stderr: '' }],
    [
      'an undefined variable, on standard error alone',
      'a { path="$nope"; }',
      { exitCode: 0, stderr: 'jail: a: path: variable "nope" not found\n' },
    ],
    [
      'a name that is set again',
      'a { name="b"; persist; }',
      { exitCode: 0, stdout: 'name=a|persist\n', stderr: 'jail: a: cannot redefine parameter "name".\n' },
    ],
    ['comments that cut', 'a { path = /a//b\n; persist; }', { exitCode: 0, stdout: 'name=a|path=/a|persist\n' }],
  ]
  it.each(rows)('of %s', async (_, text, wanted) => {
    expect(await jail(text, '-e', '|')).toMatchObject(wanted)
  })

  it('joins pieces, escapes and variables as jaillex.l does', async () => {
    const text = String.raw`$dom="example.org"; a { $host="$name.$dom"; p1="$host"; p2="/j/${'$'}{name}"; p3="a"b'c'; p4='d$d'; p5="\x41\101\q"; p6="s//s#h"; p7="5$"; }`
    expect((await jail(text, '-e', '|')).stdout).toBe(
      'name=a|$dom=example.org|$host=a.example.org|p1=a.example.org|p2=/j/a|p3=abc|p4=d$d|p5=AAq|p6=s//s#h|p7=5$\n',
    )
  })

  it('reads what is included, and fails for all when one of them is broken', async () => {
    mkdirSync(join(directory, 'd'))
    writeFileSync(join(directory, 'd/2.conf'), 'b { persist; }')
    expect(await jail('.include "d/*.conf"; a { persist; }', '-e', '|')).toMatchObject({
      stdout: 'name=b|persist\nname=a|persist\n',
    })
    writeFileSync(join(directory, 'd/3.conf'), 'c {\npersist }')
    expect(await jail('.include "d/*.conf"; a { persist; }', '-e', '|')).toMatchObject({
      exitCode: 1,
      stderr: 'jail: R/d/3.conf line 2: }: syntax error\n',
    })
    expect(await jail('.include "d/none.conf";', '-e', '|')).toMatchObject({
      exitCode: 1,
      stderr: 'jail: R/d/none.conf: No such file or directory\n',
    })
    expect(await jail('.include "e/*.conf"; a { persist; }', '-e', '|')).toMatchObject({ exitCode: 0 })
  })
})

describe('jail -c', () => {
  const whole =
    'a { path="R/a"; persist; mount.devfs; ip4.addr="em0|10.0.0.1/24","em0|10.0.0.2","10.0.0.3"; ip6.addr="em0|2001:db8::1/64"; }'

  it('puts addresses up before it creates, and takes them down in reverse', async () => {
    expect(await jail(whole, '-c', 'a')).toEqual({ exitCode: 0, stdout: 'a: created\n', stderr: '' })
    expect(await jail(whole, '-r', 'a')).toEqual({ exitCode: 0, stdout: 'a: removed\n', stderr: '' })
    expect(hostCommands()).toEqual([
      'ifconfig em0 inet 10.0.0.1/24 alias',
      'ifconfig em0 inet 10.0.0.2 netmask 255.255.255.255 alias',
      'ifconfig em0 inet6 2001:db8::1/64 alias',
      `umount ${directory}/a/dev`,
      'ifconfig em0 inet6 2001:db8::1/64 -alias',
      'ifconfig em0 inet 10.0.0.2 netmask 255.255.255.255 -alias',
      'ifconfig em0 inet 10.0.0.1/24 -alias',
    ])
  })

  it('takes back what it did when an address fails, without exec.poststop and exec.release', async () => {
    const text =
      'a { path="R/a"; persist; ip4.addr="em0|10.0.0.1/24","bad0|10.0.0.2/24"; exec.poststop="sync"; exec.release="sync"; }'
    expect(await jail(text, '-c', 'a')).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'ifconfig: interface bad0 does not exist\njail: a: /sbin/ifconfig bad0 inet 10.0.0.2/24 alias: failed\n',
    })
    expect(hostCommands().at(-1)).toBe('ifconfig em0 inet 10.0.0.1/24 -alias')
  })

  it('takes the jail back when exec.start fails, and does not tell its exit code', async () => {
    inJail = () => ({ exitCode: 3 })
    expect(await jail(`a { path="R/a"; persist; exec.start="sh -c 'exit 3'"; }`, '-c', 'a')).toEqual({
      exitCode: 1,
      stdout: 'a: created\na: removed\n',
      stderr: `jail: a: /bin/sh -c sh -c 'exit 3': failed\n`,
    })
  })

  it('leaves an epair that was made before a failure', async () => {
    await freebsd.run('ifconfig', ['epair', 'create'])
    const text = 'a { path="R/a"; persist; vnet; vnet.interface="epair0b","e1b_a"; }'
    expect(await jail(text, '-c', 'a')).toMatchObject({
      exitCode: 1,
      stdout: 'a: created\na: removed\n',
      stderr: expect.stringContaining('ifconfig: interface e1b_a does not exist\njail: a: /sbin/ifconfig e1b_a vnet a: failed\n'),
    })
  })

  const refused: [string, string][] = [
    ['a { path="R/a"; persist; no.such.thing=1; }', 'jail: a: unknown parameter: no.such.thing'],
    ['a { path="R/a"; persist="maybe"; }', 'jail: a: persist: unknown boolean value "maybe"'],
    ['a { path="R/a"; persist; securelevel="high"; }', 'jail: a: securelevel: non-integer value "high"'],
    ['a { path="R/a"; persist; exec.timeout="soon"; }', 'jail: a: exec.timeout: non-integer value "soon"'],
    ['a { path="R/a"; persist; vnet="sometimes"; }', 'jail: a: vnet: unknown jailsys value "sometimes"'],
    ['a { path="R/nope"; persist; }', 'jail: a: path R/nope: No such file or directory'],
    ['a { path="rel/ative"; persist; }', 'jail: a: path rel/ative: not an absolute pathname'],
    ['a { path="R/a"; }', 'jail: a: new jail must persist or attach'],
    ['a { path="R/a"; persist; vnet; ip4.addr="10.0.0.1"; }', 'jail: a: vnet jails cannot have IP address restrictions'],
    ['b { path="R/a"; persist; }', 'jail: "a" not found'],
    ['', 'jail: "a" not found'],
  ]
  it.each(refused)('refuses %s', async (text, message) => {
    expect(await jail(text, '-c', 'a')).toEqual({ exitCode: 1, stdout: '', stderr: `${message}\n` })
  })

  it('refuses a jail that is there, and one whose /dev is not', async () => {
    const text = 'a { path="R/a"; persist; } b { path="R/b"; persist; mount.devfs; }'
    await jail(text, '-c', 'a')
    expect(await jail(text, '-c', 'a')).toMatchObject({ exitCode: 1, stderr: 'jail: "a" already exists\n' })
    mkdirSync(join(directory, 'b'))
    expect(await jail(text, '-c', 'b')).toMatchObject({
      exitCode: 1,
      stderr: 'jail: b: mount.devfs: R/b/dev: No such file or directory\n',
    })
  })

  it('says created of a jail that is gone at once, for want of persist', async () => {
    expect(await jail('a { path="R/a"; exec.start="echo start"; mount.devfs; }', '-c', 'a')).toMatchObject({
      exitCode: 0,
      stdout: 'a: created\n',
    })
    expect(freebsd.kernel.jails.size).toBe(0)
    expect(freebsd.kernel.mounts.some(({ fsType }) => fsType === 'devfs')).toBe(true)
  })
})

describe('jail -r and -R', () => {
  const plain = 'a { path="R/a"; persist; mount.devfs; ip4.addr="em0|10.0.0.1/24"; exec.stop="false"; }'

  it('leaves the jail up when exec.stop fails', async () => {
    await jail(plain, '-c', 'a')
    inJail = () => ({ exitCode: 1 })
    expect(await jail(plain, '-r', 'a')).toEqual({ exitCode: 1, stdout: '', stderr: 'jail: a: false: failed\n' })
    expect(freebsd.kernel.jails.size).toBe(1)
  })

  it('leaves the jail up when the file is broken or has a bad parameter of its own', async () => {
    await jail(plain, '-c', 'a')
    expect(await jail('a {', '-r', 'a')).toMatchObject({ exitCode: 1, stderr: 'jail: F: unexpected EOF\n' })
    expect(await jail('a { exec.timeout="x"; }', '-r', 'a')).toMatchObject({ exitCode: 1 })
    expect(freebsd.kernel.jails.size).toBe(1)
  })

  it('does nothing but end the jail when there is no file, or -R is said, and says nothing', async () => {
    await jail(plain, '-c', 'a')
    freebsd.commands.length = 0
    const answer = await freebsd.run('jail', ['-r', '-f', join(directory, 'nope'), 'a'])
    expect(answer).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    await jail('b { path="R/a"; persist; }', '-c', 'b')
    expect(await freebsd.run('jail', ['-R', 'b'])).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(hostCommands()).toEqual([])
  })

  it('goes on after an unmount that failed, and never tries it again', async () => {
    await jail(plain.replace('"false"', '"true"'), '-c', 'a')
    freebsd.kernel.busyMounts.add(`${directory}/a/dev`)
    expect(await jail(plain, '-r', 'a')).toMatchObject({
      exitCode: 1,
      stdout: 'a: removed\n',
      stderr: expect.stringContaining('Device busy'),
    })
    expect(hostCommands().at(-1)).toBe('ifconfig em0 inet 10.0.0.1/24 -alias')
    expect(await jail(plain, '-r', 'a')).toMatchObject({ exitCode: 1, stderr: 'jail: "a" not found\n' })
  })

  it('takes the address off that the file names now', async () => {
    await jail(plain, '-c', 'a')
    freebsd.kernel.links[0]?.addresses.push({ family: 'inet', address: '10.0.0.99', prefix: 32 })
    await jail(plain.replace('10.0.0.1/24', '10.0.0.99/32'), '-r', 'a')
    expect(freebsd.kernel.links[0]?.addresses.map(({ address }) => address)).toEqual(['10.0.0.1'])
  })
})

describe('jls', () => {
  it('prints a whole document without jails and exits 1 for one that is not there', async () => {
    const answer = await freebsd.run('jls', ['--libxo', 'json', '-j', 'nope', 'jid'], { okExitCodes: [1] })
    expect(answer).toEqual({
      exitCode: 1,
      stdout: '{"__version":"2","jail-information":{"jail":[]}\n}\n',
      stderr: 'jls: jail "nope" not found\n',
    })
    expect(await freebsd.run('jls', ['-j', '7', 'jid'], { okExitCodes: [1] })).toMatchObject({
      stderr: 'jls: jail 7 not found\n',
    })
  })

  it('gives every scalar as a string, and addresses as a list', async () => {
    await jail('a { path="R/a"; persist; ip4.addr="10.0.0.1","em0|10.0.0.2/24"; }', '-c', 'a')
    const { stdout } = await freebsd.run('jls', ['--libxo', 'json', '-j', 'a', 'jid', 'persist', 'ip4.addr', 'host.hostname'])
    expect(JSON.parse(stdout)['jail-information'].jail).toEqual([
      { jid: '1', persist: 'true', 'ip4.addr': ['10.0.0.1', '10.0.0.2'], 'host.hostname': '' },
    ])
  })

  it('shows a dying jail with -d only, and for so many looks', async () => {
    freebsd.kernel.dyingFor = 2
    await jail('a { path="R/a"; persist; }', '-c', 'a')
    await freebsd.run('jail', ['-R', 'a'])
    const look = (...args: string[]) => freebsd.run('jls', [...args, '-j', '1', 'dying'], { okExitCodes: [1] })
    expect(await look()).toMatchObject({ exitCode: 1, stderr: 'jls: jail 1 is dying\n' })
    expect(await look('-d')).toMatchObject({ exitCode: 0, stdout: 'true\n' })
    expect(await look('-d')).toMatchObject({ exitCode: 0 })
    expect(await look('-d')).toMatchObject({ exitCode: 1, stderr: 'jls: jail 1 not found\n' })
  })
})

describe('the other programs', () => {
  const run = (program: string, ...args: string[]) => freebsd.run(program, args, { okExitCodes: [1] })

  it('rctl says when it is disabled, and when there is nothing to remove', async () => {
    expect(await run('rctl', '-r', 'jail:a')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/: No such process\n$/),
    })
    freebsd.kernel.sysctl.set('kern.racct.enable', '0')
    expect(await run('rctl', '-a', 'jail:a:maxproc:deny=1')).toMatchObject({
      exitCode: 1,
      stderr: 'rctl: RACCT/RCTL present, but disabled; enable using kern.racct.enable=1 tunable\n',
    })
  })

  it('rctl joins a second amount to the first', async () => {
    await run('rctl', '-a', 'jail:a:maxproc:deny=1')
    await run('rctl', '-a', 'jail:a:maxproc:deny=2')
    expect((await run('rctl', 'jail:a')).stdout).toBe('jail:a:maxproc:deny=1\njail:a:maxproc:deny=2\n')
  })

  it('ifconfig uses no number of an epair twice, and destroys both ends', async () => {
    expect((await run('ifconfig', 'epair', 'create')).stdout).toBe('epair0a\n')
    await run('ifconfig', 'epair0b', 'destroy')
    expect((await run('ifconfig', 'epair', 'create')).stdout).toBe('epair1a\n')
    expect(freebsd.kernel.links.map(({ name }) => name)).toEqual(['em0', 'lo0', 'epair1a', 'epair1b'])
  })

  it('zfs destroys no snapshot that has clones, and nothing that is busy', async () => {
    await run('zfs', 'create', '-p', 'tank/w')
    await run('zfs', 'snapshot', 'tank/w@filled')
    await run('zfs', 'clone', 'tank/w@filled', 'tank/j')
    expect(await run('zfs', 'destroy', '-r', 'tank/w')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('filesystem has dependent clones'),
    })
    freebsd.kernel.busyDatasets.set('tank/j', 1)
    expect(await run('zfs', 'destroy', '-r', 'tank/j')).toMatchObject({
      exitCode: 1,
      stderr: `cannot unmount '${directory}/tank/j': pool or dataset is busy\n`,
    })
    expect(await run('zfs', 'destroy', '-r', 'tank/j')).toMatchObject({ exitCode: 0 })
  })

  it('refuse to answer what is not known of FreeBSD', async () => {
    await expect(run('ifconfig', 'em0', 'mtu', '9000')).rejects.toThrow('Not known of FreeBSD')
    await expect(run('zfs', 'destroy', '-R', 'tank/w')).rejects.toThrow('Not known of FreeBSD')
    await expect(run('jail', '-m', 'a')).rejects.toThrow('Not known of FreeBSD')
  })
})
