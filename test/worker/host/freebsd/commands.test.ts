import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { destroy, provision, signal, stop, takeCommands, test } from './host-test.ts'

const find = (which: string) => `jls --libxo json -j ${which} jid name path dying`
const dying = 'jls -d --libxo json -j j1 jid name path dying'
const limits = [
  'rctl -r jail:j1',
  'rctl -a jail:j1:memoryuse:sigkill=67108864',
  'rctl -a jail:j1:maxproc:deny=50',
  'rctl -a jail:j1:pcpu:deny=50',
  'rctl jail:j1',
]
const cpus = ['sysctl -n hw.ncpu', 'cpuset -l 2 -j 1']
const scripts = join(import.meta.dirname, '../../../../worker/host/freebsd/network')

describe('the exact commands', () => {
  test('of a jail on a shared interface, on UFS', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    await provision(trial, jail)
    expect(takeCommands(trial, jail)).toEqual([
      'tar -x -p --numeric-owner -f ROOT/worlds/WORLD/tree.tar -C ROOT/roots/_copying-j1/tree',
      find('j1'),
      'ifconfig -a',
      find('j1'),
      'jail -f ROOT/jails/j1/jail.conf.unchecked -e |',
      ...limits,
      'jail -c -f ROOT/jails/j1/jail.conf j1',
      'ifconfig em0 inet 10.0.0.11/24 alias',
      'ifconfig em0 inet6 fd00:1::11/64 alias',
      'mount -t devfs -oruleset=4 . ROOT/roots/j1/tree/dev',
      `sh ${scripts}/await-addresses.sh em0 fd00:1::11`,
      // It looks until the address is no longer tried.
      'ifconfig em0 inet6',
      'ifconfig em0 inet6',
      'ifconfig em0 inet6',
      find('j1'),
      ...cpus,
      find('j1'),
    ])
    await stop(trial, jail)
    expect(takeCommands(trial, jail)).toEqual([
      find('j1'),
      'jail -r -f ROOT/jails/j1/jail.conf j1',
      'umount ROOT/roots/j1/tree/dev',
      'ifconfig em0 inet6 fd00:1::11/64 -alias',
      'ifconfig em0 inet 10.0.0.11/24 -alias',
      find('j1'),
      dying,
      'umount ROOT/roots/j1/tree/dev',
      'rctl -r jail:j1',
      find('j1'),
      'ifconfig em0',
    ])
    await trial.host.removeRoot(jail, signal)
    expect(takeCommands(trial, jail)).toEqual([
      find('j1'),
      dying,
      'mount --libxo json -p',
      'mount --libxo json -p',
      'chflags -R noschg,nosappnd,nosunlnk,nouchg,nouappnd,nouunlnk ROOT/roots/_removing-j1',
      'rm -rfx ROOT/roots/_removing-j1',
    ])
  })

  test('of a jail with a network of its own, on ZFS', async ({ open }) => {
    const trial = await open({ storage: 'zfs', mode: 'vnet' })
    const jail = trial.jail({ limits: { memory: 2 ** 26, cpu: 0.5, processes: 50, disk: 2 ** 30 } })
    await provision(trial, jail)
    expect(takeCommands(trial, jail)).toEqual([
      'zfs get -H -o value origin tank/provost/roots/j1',
      'zfs get -H -o value type tank/provost/worlds/WORLD@filled',
      'zfs clone -o quota=1073741824 tank/provost/worlds/WORLD@filled tank/provost/roots/j1',
      find('j1'),
      'ifconfig -a',
      'ifconfig epair create description MARK',
      'ifconfig epair0a name LINKa',
      'ifconfig epair0b name LINKb',
      expect.stringMatching(/^ifconfig LINKa ether 02(:[0-9a-f]{2}){5}$/),
      expect.stringMatching(/^ifconfig LINKb ether 02(:[0-9a-f]{2}){5}$/),
      'ifconfig LINKa mtu 1500',
      'ifconfig LINKb mtu 1500',
      'ifconfig LINKa up',
      'ifconfig bridge7 addm LINKa',
      find('j1'),
      'jail -f ROOT/jails/j1/jail.conf.unchecked -e |',
      ...limits,
      'jail -c -f ROOT/jails/j1/jail.conf j1',
      'mount -t devfs -oruleset=5 . ROOT/roots/j1/tree/dev',
      expect.stringMatching(/^sh \/.*\/attach-epair.sh LINKa LINKb [0-9a-f:]{17} [0-9a-f:]{17} bridge7 MARK$/),
      'ifconfig LINKb',
      'ifconfig bridge7',
      'ifconfig LINKb vnet j1',
      'ifconfig -j j1 lo0 inet 127.0.0.1/8 up',
      'ifconfig -j j1 LINKb inet 10.0.0.11/24 up',
      'ifconfig -j j1 LINKb inet6 fd00:1::11/64 no_dad -ifdisabled up',
      'route -4 -j j1 add default 10.0.0.1',
      'route -6 -j j1 add default fd00:1::1',
      find('j1'),
      ...cpus,
      find('j1'),
    ])
    await destroy(trial, jail)
    expect(takeCommands(trial, jail)).toEqual([
      find('j1'),
      'jail -r -f ROOT/jails/j1/jail.conf j1',
      'umount ROOT/roots/j1/tree/dev',
      find('j1'),
      dying,
      'umount ROOT/roots/j1/tree/dev',
      'rctl -r jail:j1',
      find('j1'),
      'ifconfig LINKa destroy',
      find('j1'),
      dying,
      'zfs destroy -r tank/provost/roots/j1',
    ])
  })

  test("of a jail's own command", async ({ open }) => {
    const trial = await open({ inJail: () => ({ exitCode: undefined }) })
    const jail = trial.jail({ command: ['/bin/httpd', '-f'] })
    const jid = await provision(trial, jail)
    expect(takeCommands(trial, jail).slice(-3)).toEqual([
      'sysctl -n -x kern.boot_id',
      `ps -ww -J ${jid} -o pid= -o jid= -o command=`,
      expect.stringMatching(
        new RegExp(
          `^daemon /usr/bin/env -i /bin/sh /.*/run-command.sh ROOT/jails/j1/console.log ROOT/jails/j1/command.end ${jid} /bin/httpd -f$`,
        ),
      ),
    ])
    expect(readFileSync(trial.layout.jail('j1').conf, 'utf8')).not.toContain('httpd')
  })

  test('of the enrolment of a host, once', async ({ open }) => {
    const trial = await open({ storage: 'zfs', mode: 'vnet' })
    const settings = () => Object.fromEntries(trial.kernel.rcConf)
    const script = () => readFileSync(join(trial.directory, 'usr/local/etc/rc.d/provost_jails'), 'utf8')
    const first = { settings: settings(), script: script(), etc: readdirSync(trial.etc) }
    expect(first).toEqual({
      settings: {
        provost_jails_boot: trial.layout.boot,
        provost_jails_enable: 'YES',
        cloned_interfaces: 'bridge7',
        ifconfig_bridge7: 'inet 10.0.0.1/24 up',
        ifconfig_bridge7_ipv6: 'inet6 fd00:1::1/64',
      },
      script: expect.stringContaining('# PROVIDE: provost_jails\n'),
      etc: [],
    })
    await trial.runtime().open()
    expect({ settings: settings(), script: script(), etc: readdirSync(trial.etc) }).toEqual(first)
    const changes = trial.commands.filter(
      ([program, ...args]) => program === 'ifconfig' && args.join(' ') !== '-a' && args.length > 1,
    )
    expect(changes).toEqual([])
  })
})

const await6 = 'SCRIPTS/await-addresses.sh em0 fd00:1::11'
const awaited = `  exec.created = "/bin/sh ${await6}";`

describe('the file of a jail', () => {
  const golden: [string, object, string[]][] = [
    [
      'with both families on a shared interface',
      {},
      ['  ip4.addr = "em0|10.0.0.11/24";', '  ip6.addr = "em0|fd00:1::11/64";', awaited],
    ],
    [
      'with limits, none of which is in it',
      { limits: { memory: 2 ** 30, cpu: 2, processes: 7 } },
      ['  ip4.addr = "em0|10.0.0.11/24";', '  ip6.addr = "em0|fd00:1::11/64";', awaited],
    ],
    [
      'with IPv4 only',
      { addresses: ['10.0.0.11/24', '10.0.0.12/24'] },
      ['  ip4.addr = "em0|10.0.0.11/24", "em0|10.0.0.12/24";', '  ip6 = "disable";'],
    ],
    ['with IPv6 only', { addresses: ['fd00:1::11/64'] }, ['  ip4 = "disable";', '  ip6.addr = "em0|fd00:1::11/64";', awaited]],
  ]

  test.for(golden)('is exact %s', async ([, overrides, addresses], { open }) => {
    const trial = await open()
    const jail = trial.jail(overrides)
    await provision(trial, jail)
    const text = readFileSync(trial.layout.jail('j1').conf, 'utf8')
      .replaceAll(trial.layout.directory, 'ROOT')
      .replaceAll(scripts, 'SCRIPTS')
    expect(text.split('\n').slice(1)).toEqual([
      'j1 {',
      '  path = "ROOT/roots/j1/tree";',
      '  host.hostname = "host-1.example.com";',
      '  allow.noset_hostname;',
      '  persist;',
      '  exec.clean;',
      '  exec.timeout = "570";',
      '  stop.timeout = "5";',
      '  exec.consolelog = "ROOT/jails/j1/console.log";',
      '  mount.devfs;',
      '  devfs_ruleset = "4";',
      '  enforce_statfs = "2";',
      '  securelevel = "2";',
      '  children.max = "0";',
      ...addresses,
      '  exec.start = "/bin/sh /etc/rc";',
      '  exec.stop = "/bin/sh /etc/rc.shutdown jail";',
      '}',
      '',
    ])
  })

  const hostile = ['a"b', "it's", '$name $x', '/a//b /*c*/ #d', '*', '"; persist=0; } b { path="/";', 'one\ntwo', 'back\\slash']
  test.for(hostile)('passes jail(8) a name like %j as it is, and nothing else', async (hostname, { open }) => {
    const trial = await open()
    await provision(trial, trial.jail({ hostname }))
    const { parameters } = trial.kernel.jails.get(1) ?? {}
    expect(parameters?.get('host.hostname')).toEqual([hostname])
    expect([trial.kernel.jails.size, parameters?.get('persist'), parameters?.size]).toEqual([1, [], 19])
  })

  test('is exact with a network of its own', async ({ open }) => {
    const trial = await open({ mode: 'vnet' })
    const jail = trial.jail({ command: ['/bin/httpd'] })
    await provision(trial, jail)
    const { conf, jailEnd } = trial.layout.jail('j1')
    const text = readFileSync(conf, 'utf8').replaceAll(trial.layout.directory, 'ROOT').replaceAll(jailEnd, 'LINKb')
    expect(text.split('\n').slice(10, -2)).toEqual([
      '  mount.devfs;',
      '  devfs_ruleset = "5";',
      '  enforce_statfs = "2";',
      '  securelevel = "2";',
      '  children.max = "0";',
      '  vnet;',
      expect.stringMatching(/^ {2}exec.prestart = "\/bin\/sh \/[^ ]*\/attach-epair.sh [^"\\$]*";$/),
      `  exec.created = ${[
        '"/sbin/ifconfig LINKb vnet j1"',
        '"/sbin/ifconfig -j j1 lo0 inet 127.0.0.1/8 up"',
        '"/sbin/ifconfig -j j1 LINKb inet 10.0.0.11/24 up"',
        '"/sbin/ifconfig -j j1 LINKb inet6 fd00:1::11/64 no_dad -ifdisabled up"',
        '"/sbin/route -4 -j j1 add default 10.0.0.1"',
        '"/sbin/route -6 -j j1 add default fd00:1::1"',
      ].join(', ')};`,
    ])
  })

  test('is in place for the next boot only once the jail is believed to run, with its limits', async ({ open }) => {
    const trial = await open()
    const jail = trial.jail()
    const { boot, conf } = trial.layout.jail('j1')
    const seen: boolean[] = []
    trial.fail(
      'jls',
      () => {
        seen.push(existsSync(boot))
        return false
      },
      {},
    )
    await provision(trial, jail)
    expect(seen).toEqual([false, false, false, true])
    expect(readFileSync(boot, 'utf8')).toBe(readFileSync(conf, 'utf8'))
    const rules = limits.slice(1, -1).map((line) => line.replace('rctl -a ', ''))
    expect(readFileSync(trial.layout.jail('j1').bootLimits, 'utf8')).toBe(`${rules.join('\n')}\n`)

    trial.fail('jail', '-r', { stderr: 'jail: j1: /bin/sh /etc/rc.shutdown jail: failed\n' })
    trial.fail('jail', '-R', { stderr: 'jail: not now\n' })
    await expect(stop(trial, jail)).rejects.toMatchObject({ code: 'command_failed' })
    expect(readdirSync(trial.layout.boot)).toEqual([])
  })
})
