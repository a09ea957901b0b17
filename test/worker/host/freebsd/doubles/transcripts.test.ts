import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { InJail } from '../../../../support/freebsd/in-jail.ts'
import { type SimulatedFreebsd, simulatedFreebsd } from '../../../../support/freebsd/simulated-freebsd.ts'

/**
 * The doubles against what FreeBSD's own jail(8) and jls(8) printed when they were compiled on Linux: each row is one of theirs,
 * with the file of usr.sbin/jail, or of the kernel, that decides it.
 */
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
  const rows: [string, string, string, object][] = [
    ['config.c', 'a jail', 'a { path="R/a"; persist; }', { exitCode: 0, stdout: 'name=a|path=R/a|persist\n', stderr: '' }],
    ['jailparse.y', 'no semicolon', 'a {\npersist }', { exitCode: 1, stderr: 'jail: F line 2: }: syntax error\n' }],
    ['jailparse.y', 'no brace', 'a { persist;', { exitCode: 1, stderr: 'jail: F: unexpected EOF\n' }],
    ['jaillex.l', 'an open quote', 'a { path="x; }', { exitCode: 1, stderr: 'jail: F line 1: unterminated string\n' }],
    ['jaillex.l', 'an open comment', 'a { /* }', { exitCode: 1, stderr: 'jail: F line 1: unterminated comment\n' }],
    ['jailparse.y', 'no value', 'a { path=; }', { exitCode: 1, stderr: 'jail: F line 1: ;: syntax error\n' }],
    [
      'jailparse.y',
      'two values beside each other',
      'a { p="a" "b"; }',
      { exitCode: 1, stderr: 'jail: F line 1: "b": syntax error\n' },
    ],
    ['jailparse.y', 'no braces at all: a parameter of every jail', 'a = persist;', { exitCode: 0, stdout: '', stderr: '' }],
    ['jailparse.y', 'an empty file', '', { exitCode: 0, stdout: '', stderr: '' }],
    ['jaillex.l', 'a byte above 0x7f between blocks', 'é junk {{{', { exitCode: 0, stdout: '', stderr: '' }],
    [
      'config.c',
      'an undefined variable, on standard error alone',
      'a { path="$nope"; }',
      { exitCode: 0, stderr: 'jail: a: path: variable "nope" not found\n' },
    ],
    [
      'config.c',
      'a name that is set again',
      'a { name="b"; persist; }',
      { exitCode: 0, stdout: 'name=a|persist\n', stderr: 'jail: a: cannot redefine parameter "name".\n' },
    ],
    [
      'jaillex.l',
      'blanks and comments at the ends',
      '# x\n  a { persist; } // y\n/* z */',
      { exitCode: 0, stdout: 'name=a|persist\n', stderr: '' },
    ],
    ['jaillex.l', 'CR LF', 'a {\r\n  persist;\r\n}\r\n', { exitCode: 0, stdout: 'name=a|persist\n', stderr: '' }],
    ['jailparse.y', 'a semicolon too many', 'a { persist; };;', { exitCode: 0, stdout: 'name=a|persist\n', stderr: '' }],
    ['jaillex.l', 'comments that cut', 'a { path = /a//b\n; persist; }', { exitCode: 0, stdout: 'name=a|path=/a|persist\n' }],
  ]
  it.each(rows)('(%s) of %s', async (_source, _, text, wanted) => {
    expect(await jail(text, '-e', '|')).toMatchObject(wanted)
  })

  it('joins pieces, escapes and variables (jaillex.l)', async () => {
    const text = String.raw`$dom="example.org"; a { $host="$name.$dom"; p1="$host"; p2="/j/${'$'}{name}"; p3="a"b'c'; p4='d$d'; p5="\x41\101\q"; p6="s//s#h"; p7="5$"; }`
    expect((await jail(text, '-e', '|')).stdout).toBe(
      'name=a|$dom=example.org|$host=a.example.org|p1=a.example.org|p2=/j/a|p3=abc|p4=d$d|p5=AAq|p6=s//s#h|p7=5$\n',
    )
  })

  it('reads what is included, and fails for all when one of them is broken (config.c)', async () => {
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

  it('puts an address up with the words behind it, and takes it down without', async () => {
    const conf = 'a { path="R/a"; persist; ip6.addr="em0|2001:db8::3/64 no_dad"; }'
    await jail(conf, '-c', 'a')
    await jail(conf, '-r', 'a')
    expect(hostCommands()).toEqual(['ifconfig em0 inet6 2001:db8::3/64 no_dad alias', 'ifconfig em0 inet6 2001:db8::3/64 -alias'])
  })

  it('puts addresses up before it creates, and takes them down in reverse (jail.c)', async () => {
    expect(await jail(whole, '-c', 'a')).toEqual({ exitCode: 0, stdout: 'a: created\n', stderr: '' })
    expect(await jail(whole, '-r', 'a')).toEqual({ exitCode: 0, stdout: 'a: removed\n', stderr: '' })
    expect(hostCommands()).toEqual([
      'ifconfig em0 inet 10.0.0.1/24 alias',
      'ifconfig em0 inet 10.0.0.2 netmask 255.255.255.255 alias',
      'ifconfig em0 inet6 2001:db8::1/64 alias',
      `mount -t devfs -oruleset=4 . ${directory}/a/dev`,
      `umount ${directory}/a/dev`,
      'ifconfig em0 inet6 2001:db8::1/64 -alias',
      'ifconfig em0 inet 10.0.0.2 netmask 255.255.255.255 -alias',
      'ifconfig em0 inet 10.0.0.1/24 -alias',
    ])
  })

  it('undoes what it did when an address fails, without exec.poststop and exec.release (command.c)', async () => {
    const text =
      'a { path="R/a"; persist; ip4.addr="em0|10.0.0.1/24","bad0|10.0.0.2/24"; exec.poststop="sync"; exec.release="sync"; }'
    expect(await jail(text, '-c', 'a')).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'ifconfig: interface bad0 does not exist\njail: a: /sbin/ifconfig bad0 inet 10.0.0.2/24 alias: failed\n',
    })
    expect(hostCommands().at(-1)).toBe('ifconfig em0 inet 10.0.0.1/24 -alias')
  })

  it('removes the jail again when exec.start fails, and does not print its exit code (command.c)', async () => {
    inJail = () => ({ exitCode: 3 })
    expect(await jail(`a { path="R/a"; persist; exec.start="sh -c 'exit 3'"; }`, '-c', 'a')).toEqual({
      exitCode: 1,
      stdout: 'a: created\na: removed\n',
      stderr: `jail: a: /bin/sh -c sh -c 'exit 3': failed\n`,
    })
  })

  it('leaves an epair that was made before a failure (command.c)', async () => {
    await freebsd.run('ifconfig', ['epair', 'create'])
    const text = 'a { path="R/a"; persist; vnet; vnet.interface="epair0b","e1b_a"; }'
    expect(await jail(text, '-c', 'a')).toMatchObject({
      exitCode: 1,
      stdout: 'a: created\na: removed\n',
      stderr: expect.stringContaining('ifconfig: interface e1b_a does not exist\njail: a: /sbin/ifconfig e1b_a vnet a: failed\n'),
    })
  })

  const refused: [string, string, string][] = [
    ['libjail', 'a { path="R/a"; persist; no.such.thing=1; }', 'jail: a: unknown parameter: no.such.thing'],
    ['libjail', 'a { path="R/a"; persist="maybe"; }', 'jail: a: persist: unknown boolean value "maybe"'],
    ['libjail', 'a { path="R/a"; persist; allow.raw_sockets=yes; }', 'jail: a: allow.raw_sockets: unknown boolean value "yes"'],
    ['config.c', 'a { path="R/a"; persist; mount.devfs="maybe"; }', 'jail: a: mount.devfs: unknown boolean value "maybe"'],
    ['libjail', 'a { path="R/a"; persist; securelevel="high"; }', 'jail: a: securelevel: non-integer value "high"'],
    ['config.c', 'a { path="R/a"; persist; exec.timeout="soon"; }', 'jail: a: exec.timeout: non-integer value "soon"'],
    ['libjail', 'a { path="R/a"; persist; ip4.addr="10.0.0.300"; }', 'jail: a: ip4.addr: not an IPv4 address: 10.0.0.300'],
    ['libjail', 'a { path="R/a"; persist; ip6.addr="10.0.0.1"; }', 'jail: a: ip6.addr: not an IPv6 address: 10.0.0.1'],
    ['libjail', 'a { path="R/a"; persist; vnet="sometimes"; }', 'jail: a: vnet: unknown jailsys value "sometimes"'],
    ['kern_jail.c', 'a { path="R/nope"; persist; }', 'jail: a: path R/nope: No such file or directory'],
    ['kern_jail.c', 'a { path="/etc/passwd"; persist; }', 'jail: a: path /etc/passwd: Not a directory'],
    ['config.c', 'a { path="rel/ative"; persist; }', 'jail: a: path rel/ative: not an absolute pathname'],
    ['kern_jail.c', 'a { path="R/a"; }', 'jail: a: new jail must persist or attach'],
    [
      'kern_jail.c',
      'a { path="R/a"; persist; vnet; ip4.addr="10.0.0.1"; }',
      'jail: a: vnet jails cannot have IP address restrictions',
    ],
    ['jail.c', 'b { path="R/a"; persist; }', 'jail: "a" not found'],
    ['jail.c', '', 'jail: "a" not found'],
  ]
  it.each(refused)('refuses (%s) %s', async (_source, text, message) => {
    expect(await jail(text, '-c', 'a')).toEqual({ exitCode: 1, stdout: '', stderr: `${message}\n` })
    expect(freebsd.kernel.jails.size).toBe(0)
  })

  const failing: [string, string, InJail, object][] = [
    [
      'exec.start hangs',
      'exec.timeout=2; exec.start="sleep 300"',
      () => ({ exitCode: undefined }),
      { stdout: 'a: created\na: removed\n', stderr: 'jail: a: sleep 300: timed out\n' },
    ],
    [
      'the second of two exec.start fails',
      'exec.start="echo one","false","echo never"',
      (_, argv) => ({ exitCode: argv[0] === 'false' ? 1 : 0 }),
      { stdout: 'a: created\na: removed\n', stderr: 'jail: a: false: failed\n' },
    ],
    [
      'the directory of exec.consolelog is not there',
      `exec.start="echo x"; exec.consolelog="R/no/con.log"`,
      () => ({}),
      { stdout: 'a: created\na: removed\n', stderr: 'jail: a: open R/no/con.log: No such file or directory\n' },
    ],
    [
      'exec.prestart fails',
      'exec.prestart="ifconfig nope"',
      () => ({}),
      { stdout: '', stderr: 'ifconfig: interface nope does not exist\njail: a: ifconfig nope: failed\n' },
    ],
  ]
  it.each(failing)('takes all back (command.c) when %s', async (_, parameters, answers, wanted) => {
    inJail = answers
    const text = `a { path="R/a"; persist; mount.devfs; ip4.addr="em0|10.0.0.1/24"; ${parameters}; }`
    expect(await jail(text, '-c', 'a')).toEqual({ exitCode: 1, ...wanted })
    expect(freebsd.kernel.jails.size).toBe(0)
    expect(freebsd.kernel.mounts.length).toBe(1)
    expect(freebsd.kernel.links[0]?.addresses).toEqual([])
  })

  it('mounts /dev under the ruleset that is asked for, and under 4 unless one is (command.c)', async () => {
    await jail('a { path="R/a"; persist; mount.devfs; devfs_ruleset=5; }', '-c', 'a')
    await freebsd.run('jail', ['-R', 'a'])
    await jail('a { path="R/a"; persist; mount.devfs; }', '-c', 'a')
    expect(hostCommands()).toEqual([5, 4].map((ruleset) => `mount -t devfs -oruleset=${ruleset} . ${directory}/a/dev`))
  })

  it('refuses a jail that is there, and one whose /dev is not (jail.c, command.c)', async () => {
    const text = 'a { path="R/a"; persist; } b { path="R/b"; persist; mount.devfs; }'
    await jail(text, '-c', 'a')
    expect(await jail(text, '-c', 'a')).toMatchObject({ exitCode: 1, stderr: 'jail: "a" already exists\n' })
    mkdirSync(join(directory, 'b'))
    expect(await jail(text, '-c', 'b')).toMatchObject({
      exitCode: 1,
      stderr: 'jail: b: mount.devfs: R/b/dev: No such file or directory\n',
    })
  })

  it('says created of a jail that is gone at once, for want of persist (jail.c)', async () => {
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

  it('leaves the jail up when exec.stop fails (command.c)', async () => {
    await jail(plain, '-c', 'a')
    inJail = () => ({ exitCode: 1 })
    expect(await jail(plain, '-r', 'a')).toEqual({ exitCode: 1, stdout: '', stderr: 'jail: a: false: failed\n' })
    expect(freebsd.kernel.jails.size).toBe(1)
  })

  it('leaves the jail up when exec.stop hangs, and says that it timed out (command.c)', async () => {
    await jail(plain, '-c', 'a')
    inJail = () => ({ exitCode: undefined })
    expect(await jail(plain, '-r', 'a')).toEqual({ exitCode: 1, stdout: '', stderr: 'jail: a: false: timed out\n' })
    expect(freebsd.kernel.jails.size).toBe(1)
  })

  it('leaves the jail up when the file is broken or has a bad parameter of its own (config.c)', async () => {
    await jail(plain, '-c', 'a')
    expect(await jail('a {', '-r', 'a')).toMatchObject({ exitCode: 1, stderr: 'jail: F: unexpected EOF\n' })
    expect(await jail('a { exec.timeout="x"; }', '-r', 'a')).toMatchObject({ exitCode: 1 })
    expect(freebsd.kernel.jails.size).toBe(1)
  })

  it('does nothing but end the jail when there is no file, or -R is said, and says nothing (jail.c)', async () => {
    await jail(plain, '-c', 'a')
    freebsd.commands.length = 0
    const answer = await freebsd.run('jail', ['-r', '-f', join(directory, 'nope'), 'a'])
    expect(answer).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    await jail('b { path="R/a"; persist; }', '-c', 'b')
    expect(await freebsd.run('jail', ['-R', 'b'])).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(hostCommands()).toEqual([])
  })

  it('goes on after an unmount that failed, and never tries it again (command.c)', async () => {
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

  it('takes the address off that the file names now (jail.c)', async () => {
    await jail(plain, '-c', 'a')
    freebsd.kernel.links[0]?.addresses.push({ family: 'inet', address: '10.0.0.99', prefix: 32 })
    await jail(plain.replace('10.0.0.1/24', '10.0.0.99/32'), '-r', 'a')
    expect(freebsd.kernel.links[0]?.addresses.map(({ address }) => address)).toEqual(['10.0.0.1'])
  })
})

describe('jls', () => {
  it('prints a whole document without jails and exits 1 for one that is not there (jls.c, libxo)', async () => {
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

  it('prints every scalar as a string, and addresses as a list (jls.c)', async () => {
    await jail('a { path="R/a"; persist; ip4.addr="10.0.0.1","em0|10.0.0.2/24"; }', '-c', 'a')
    const { stdout } = await freebsd.run('jls', ['--libxo', 'json', '-j', 'a', 'jid', 'persist', 'ip4.addr', 'host.hostname'])
    expect(JSON.parse(stdout)['jail-information'].jail).toEqual([
      { jid: '1', persist: 'true', 'ip4.addr': ['10.0.0.1', '10.0.0.2'], 'host.hostname': '' },
    ])
  })

  it('shows a dying jail with -d only, and for so many looks (jls.c; the looks are ours)', async () => {
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

  it('rctl says when it is disabled, and when there is nothing to remove (rctl.c)', async () => {
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

  it('rctl joins a second amount to the first (rctl(8))', async () => {
    await run('rctl', '-a', 'jail:a:maxproc:deny=1')
    await run('rctl', '-a', 'jail:a:maxproc:deny=2')
    expect((await run('rctl', 'jail:a')).stdout).toBe('jail:a:maxproc:deny=2\njail:a:maxproc:deny=1\n')
  })

  it('ifconfig uses no number of an epair twice, and destroys both ends (epair(4))', async () => {
    expect((await run('ifconfig', 'epair', 'create')).stdout).toBe('epair0a\n')
    await run('ifconfig', 'epair0b', 'destroy')
    expect((await run('ifconfig', 'epair', 'create')).stdout).toBe('epair1a\n')
    expect(freebsd.kernel.links.map(({ name }) => name)).toEqual(['em0', 'lo0', 'epair1a', 'epair1b'])
  })

  it('zfs destroys no snapshot that has clones, and nothing that is busy (zfs-destroy(8))', async () => {
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

  it('ifconfig makes no epair by a number that is taken, and takes the next by itself (epair(4))', async () => {
    await run('ifconfig', 'epair', 'create')
    expect(await run('ifconfig', 'epair0', 'create')).toMatchObject({
      exitCode: 1,
      stderr: 'ifconfig: interface epair0 already exists\n',
    })
    expect((await run('ifconfig', 'epair', 'create')).stdout).toBe('epair1a\n')
  })

  it('cpuset binds a jail to CPUs that the host has, and to no other (cpuset(1); its texts are to be confirmed)', async () => {
    await jail('a { path="R/a"; persist; }', '-c', 'a')
    expect(await run('cpuset', '-l', '0-1,3', '-j', '1')).toMatchObject({ exitCode: 0 })
    expect(freebsd.kernel.jails.get(1)?.cpus).toEqual([0, 1, 3])
    for (const [list = '', which = ''] of [
      ['4', '1'],
      ['x', '1'],
      ['0', '7'],
      ['0', 'nope'],
    ])
      expect(await run('cpuset', '-l', list, '-j', which)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringMatching(/^cpuset: /),
      })
    expect(freebsd.kernel.jails.get(1)?.cpus).toEqual([0, 1, 3])
  })

  it('leave a process that keeps a reader of their pipes waiting, where a test says so', async () => {
    const place = join(directory, 'bin')
    mkdirSync(place)
    const server = await freebsd.serve(place)
    freebsd.hold('jail', '-c')
    const child = spawn(join(place, 'jail'), ['-c', '-f', conf('a { path="R/a"; persist; }'), 'a'])
    let closed = false
    const close = once(child, 'close').then(() => {
      closed = true
    })
    expect(await once(child, 'exit')).toEqual([0, null])
    // There is nothing to wait for: the event must not come.
    await sleep(200)
    expect(closed).toBe(false)
    process.kill(Number(readFileSync(join(place, 'socket.held'), 'utf8')), 'SIGKILL')
    await close
    server.close()
  })

  it('refuse to answer what is not known of FreeBSD', async () => {
    await expect(run('ifconfig', 'em0', 'media', 'auto')).rejects.toThrow('Not known of FreeBSD')
    await expect(run('zfs', 'destroy', '-R', 'tank/w')).rejects.toThrow('Not known of FreeBSD')
    await expect(run('jail', '-m', 'a')).rejects.toThrow('Not known of FreeBSD')
  })
})
