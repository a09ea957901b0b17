import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { copyFile, cp, mkdir, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JailSpec } from '#shared/job.ts'
import { detectCgroups, processesIn } from '../../worker/host/linux/limits/cgroups.ts'
import { isAlive, readStatus } from '../../worker/host/linux/processes/processes.ts'
import { onBehalfOf } from '../../worker/host/programs/run-command.ts'
import { whyNoLinuxJails } from '../support/hosts/host-fitness.ts'
import { hostSnapshot } from '../support/hosts/host-snapshot.ts'
import { endless, provision, removeAll, type TrialHost, trialHost } from '../support/hosts/trial-host.ts'
import { until } from '../support/until.ts'
import { type ContractHost, contractScripts, hostRuntimeContract } from './host-runtime-contract.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: the contract of the Linux runtime: ${whyNot}`)

const { signal } = new AbortController()

/** What a worker that is killed between two of its commands, or a command that is, leaves behind. */
const halfMade: Record<string, (trial: TrialHost, jail: JailSpec) => Promise<unknown>> = {
  'has a directory that nothing is mounted in': ({ layout }, jail) =>
    mkdir(join(layout.jail(jail.name).root), { recursive: true }),
  'has a namespace file that nothing is bound to': async ({ layout }, jail) => {
    await mkdir(layout.networks, { recursive: true })
    await writeFile(layout.jail(jail.name).network, '')
  },
  'has a namespace without a link': async (trial, jail) => {
    await halfMade['has a namespace file that nothing is bound to']?.(trial, jail)
    await trial.run('unshare', [`--net=${trial.layout.jail(jail.name).network}`, 'true'])
  },
  'has a link without its addresses': async ({ host, run, layout }, jail) => {
    await host.ensureNetwork(jail, signal)
    await run('nsenter', [`--net=${layout.jail(jail.name).network}`, 'ip', 'address', 'flush', 'dev', 'eth0'])
  },
  'has a link that is not on the bridge': async ({ host, run, layout }, jail) => {
    await host.ensureNetwork(jail, signal)
    await run('ip', ['link', 'set', 'dev', layout.jail(jail.name).veth, 'nomaster'])
  },
  'has lost its link': async ({ host, run, layout }, jail) => {
    await host.ensureNetwork(jail, signal)
    await run('ip', ['link', 'delete', 'dev', layout.jail(jail.name).veth])
  },
  'is on another network than the one made for it': async (trial, jail) => {
    await provision(trial.host, jail)
    await trial.host.removeNetwork(jail, signal)
  },
  'was made by runc and not started': async (trial, jail) => {
    const { bundle } = trial.layout.jail(jail.name)
    await provision(trial.host, { ...jail, command: endless })
    await copyFile(`${bundle}/config.json`, `${bundle}.config`)
    await trial.host.removeJail(jail, signal)
    await mkdir(bundle)
    await rename(`${bundle}.config`, `${bundle}/config.json`)
    const args = ['create', '--bundle', bundle, '--pid-file', `${bundle}/pid`, jail.name]
    await trial.run('runc', ['--root', trial.layout.runcRoot, ...args], { outputFile: '/dev/null' })
  },
  'has ended by itself': async ({ host }, jail) => {
    process.kill(await provision(host, jail), 'SIGKILL')
  },
  'has processes that runc does not know': async ({ host, layout }, jail) => {
    await provision(host, jail)
    await rm(layout.jail(jail.name).runcState, { recursive: true })
  },
  'has a state that runc cannot read': async ({ host, layout }, jail) => {
    process.kill(await provision(host, jail), 'SIGKILL')
    await writeFile(`${layout.jail(jail.name).runcState}/state.json`, '{"id":')
  },
  'has lost its network and its process id': async (trial, jail) => {
    await provision(trial.host, jail)
    await rm(trial.layout.jail(jail.name).pidFile)
  },
  'is half removed': async ({ layout }, jail) => {
    await mkdir(join(layout.jail(jail.name).removing, 'upper/data'), { recursive: true })
  },
}

async function open(): Promise<ContractHost> {
  const trial = await trialHost(contractScripts)
  const { layout, config } = trial
  const links = new Set<string>()
  const parts = () => [
    layout.root,
    layout.runDirectory,
    layout.filters,
    layout.cgroupParent,
    config.network.bridge ?? '',
    ...links,
  ]
  return {
    host: trial.host,
    jail: (overrides) => {
      const jail = trial.jail(overrides)
      links.add(layout.jail(jail.name).veth)
      return jail
    },
    rootOf: (jail) => layout.jail(jail.name).root,
    consoleOf: (jail) => {
      const path = layout.jail(jail.name).console
      return existsSync(path) ? readFileSync(path, 'utf8') : ''
    },
    rcFailure: { message: '/bin/sh /etc/rc ended with exit code 3: out of luck', exitCode: 3 },
    snapshot: () => hostSnapshot([layout.jails], (line) => parts().some((part) => line.includes(part))),
    halfMade: Object.fromEntries(Object.entries(halfMade).map(([name, make]) => [name, (jail) => make(trial, jail)])),
    close: trial.close,
  }
}

describe.skipIf(whyNot)('the Linux runtime', () => {
  hostRuntimeContract(Object.keys(halfMade), open)

  it('ends what an earlier worker left running, and nothing else', async () => {
    const trial = await trialHost()
    const jail = trial.jail({ command: endless })
    const jid = await provision(trial.host, jail)
    // Its parent ends at once, as a killed worker does.
    const orphan = async (worker: string) => {
      const file = join(trial.layout.root, 'orphan')
      const env = { ...process.env, PROVOST_WORKER: worker }
      spawnSync('sh', ['-c', `trap '' TERM; sleep 100000 & echo $! > ${file}`], { env, stdio: 'ignore' })
      return Number(readFileSync(file, 'utf8'))
    }
    const [left, others] = [await orphan(trial.config.root), await orphan('/another/host')]
    await trial.host.endPredecessor()
    expect(isAlive(readStatus(left))).toBe(false)
    expect(isAlive(readStatus(others))).toBe(true)
    expect(await trial.host.findJail(jail)).toEqual({ jid })
    process.kill(others, 'SIGKILL')
    await trial.close()
  })

  it('ends what a command of an operation left running, and of no other', async () => {
    const trial = await trialHost()
    const left = async (operation: string) => {
      const file = join(trial.layout.root, operation)
      const script = `setsid sh -c 'trap "" TERM; echo $$ > ${file}; while :; do sleep 1; done' > /dev/null 2>&1 &`
      await onBehalfOf(
        operation,
        () => undefined,
        () => trial.run('sh', ['-c', script]),
      )
      await until('its pid', () => existsSync(file) && readFileSync(file, 'utf8') !== '')
      return Number(readFileSync(file, 'utf8'))
    }
    const [ours, others] = [await left('operation-1'), await left('operation-2')]
    await trial.host.endProcessesOf('operation-1')
    expect(isAlive(readStatus(ours))).toBe(false)
    expect(isAlive(readStatus(others))).toBe(true)
    await trial.host.endProcessesOf('operation-2')
    await trial.close()
  })

  it('starts a command once more when runc was killed before it could write that it had, and ends the first one', async () => {
    const trial = await trialHost()
    const jail = trial.jail({ command: endless })
    const first = await provision(trial.host, jail)
    const { commandPid, cgroup } = trial.layout.jail(jail.name)
    const commands = () => processesIn(detectCgroups(), cgroup).filter((pid) => pid !== first)
    const [before] = commands()
    await rm(commandPid)
    await trial.host.endCommand(jail, signal)
    expect(commands()).toEqual([])
    await trial.host.startCommand(jail, signal)
    expect(commands()).toHaveLength(1)
    expect(commands()).not.toContain(before)
    await trial.close()
  })

  it('says that the disk is full where runc finds it so', async () => {
    const trial = await trialHost()
    const jail = trial.jail()
    const { runcRoot } = trial.layout
    await mkdir(runcRoot, { recursive: true })
    // Room for the directory itself, and no file.
    await trial.run('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=1', 'tmpfs', runcRoot])
    await expect(provision(trial.host, jail)).rejects.toMatchObject({
      code: 'disk_full',
      message: expect.stringMatching(/^The disk of the host is full: runc: .*no space left on device/),
    })
    await trial.run('umount', [runcRoot])
    await trial.close()
  })

  it('says so of a command that runc cannot start for a full disk, and not for how the command is called', async () => {
    const trial = await trialHost()
    const named = trial.jail({ command: ['/no space left on device'] })
    await expect(provision(trial.host, named)).rejects.toMatchObject({
      code: 'command_failed',
      message: expect.stringContaining('no such file or directory'),
    })
    const jail = trial.jail({ command: endless })
    const { bundle, pidFile } = trial.layout.jail(jail.name)
    await trial.host.ensureRoot(jail, signal)
    await trial.host.ensureNetwork(jail, signal)
    const first = await trial.host.ensureJail(jail, signal)
    const config = readFileSync(`${bundle}/config.json`)
    // Room for these two files, and not for the pid of the command.
    await trial.run('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=3', 'tmpfs', bundle])
    await writeFile(`${bundle}/config.json`, config)
    await writeFile(pidFile, `${first}`)
    await expect(trial.host.startCommand(jail, signal)).rejects.toMatchObject({
      code: 'disk_full',
      message: expect.stringMatching(/^The disk of the host is full: runc: .*no space left on device/),
    })
    await trial.run('umount', [bundle])
    await trial.close()
  })

  it('does not take a jail that runc made and did not start for a running one', async () => {
    const trial = await trialHost()
    const jail = trial.jail()
    await halfMade['was made by runc and not started']?.(trial, jail)
    expect(await trial.host.findJail(jail)).toBeUndefined()
    expect(await trial.host.listJails()).toEqual(new Map())
    await trial.close()
  })

  it('removes at its next start the rest of a world that a killed worker was removing', async () => {
    const trial = await trialHost()
    const { worlds } = trial.layout
    const [name = ''] = await readdir(worlds)
    await rename(join(worlds, name), join(worlds, `.removing-${name}`))
    expect(await trial.host.listWorlds()).toEqual([])
    await trial.host.discardStages()
    expect(await readdir(worlds)).toEqual([])
    await trial.close()
  })

  it('takes no tree from below jails that live on it, when its world has lost its id', async () => {
    const trial = await trialHost()
    const jail = trial.jail()
    await provision(trial.host, jail)
    const world = { name: jail.world, digest: jail.worldDigest }
    const tree = trial.host.worldTree(world)
    const before = await readdir(tree)
    await rm(join(tree, '../world.json'))
    const fill = async () => {
      await cp(tree, await trial.host.stageWorld(world), { recursive: true, verbatimSymlinks: true })
      await trial.host.commitWorld(world)
    }
    await fill()
    expect(await readdir(trial.layout.jail(jail.name).root)).toEqual(expect.arrayContaining(before))
    expect(trial.host.hasWorld(world)).toBe(true)
    expect((await trial.host.proveIsolation(jail, signal)).checks.filter(({ ok }) => !ok)).toEqual([])
    await removeAll(trial.host, jail)
    await trial.close()
  })

  it.each([undefined, 32 * 1024 ** 2])('mounts no root whose files were taken away, with a disk limit of %s', async (disk) => {
    const trial = await trialHost()
    const jail = trial.jail()
    const limited = { ...jail, limits: { ...jail.limits, ...(disk ? { disk } : {}) } }
    await provision(trial.host, limited)
    const { directory, disk: writable } = trial.layout.jail(jail.name)
    await rm(join(disk ? writable : directory, 'upper'), { recursive: true })
    await expect(trial.host.requireStartable(limited)).rejects.toMatchObject({ code: 'not_built' })
    // Mounted as it was, and after a boot.
    await expect(trial.host.mountRoot(limited, signal)).rejects.toMatchObject({ code: 'not_built' })
    await trial.host.removeJail(limited, signal)
    await trial.run('umount', [trial.layout.jail(jail.name).root])
    if (disk) await trial.run('umount', [writable])
    await expect(trial.host.mountRoot(limited, signal)).rejects.toMatchObject({ code: 'not_built' })
    await trial.close()
  })

  it('removes what a worker has left that was killed while it tried an overlay, and not what another tries now', async () => {
    const trial = await trialHost()
    const left = async (name: string, isOld: boolean) => {
      const directory = join(trial.layout.root, `.provost-check-${name}`)
      const [lower, upper, work, root] = ['lower', 'upper', 'work', 'root'].map((each) => join(directory, each))
      for (const path of [lower, upper, work, root]) await mkdir(path ?? '', { recursive: true })
      const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`
      await trial.run('mount', ['-t', 'overlay', '-o', options, 'overlay', root ?? ''])
      if (isOld) await utimes(directory, 0, 0)
      return directory
    }
    // A pid that no process can have; one as older workers named it.
    const old = [await left('4194305-abc', false), await left('abcdef', true)]
    const now = await left(`${process.pid}-def`, false)
    await trial.host.open()
    expect(old.filter((path) => existsSync(path))).toEqual([])
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(old[0])
    expect(existsSync(now)).toBe(true)
    await utimes(now, 0, 0)
    await trial.host.open()
    expect((await readdir(trial.layout.root)).filter((name) => name.startsWith('.provost'))).toEqual([])
    await trial.close()
  })

  it('mounts a root anew at a restart when its world was taken away and filled again, with what the jail wrote', async () => {
    const trial = await trialHost()
    const { host, layout } = trial
    const jail = trial.jail({ command: endless })
    const world = { name: jail.world, digest: jail.worldDigest }
    await provision(host, jail)
    const { root } = layout.jail(jail.name)
    await writeFile(join(root, 'data', 'of-the-client'), 'kept')
    const tree = host.worldTree(world)
    await cp(tree, `${layout.root}/copy`, { recursive: true, verbatimSymlinks: true })
    await rm(join(tree, '..'), { recursive: true })
    // Not filled yet: it says so, and the jail's files stay.
    await host.removeJail(jail, signal)
    await expect(host.mountRoot(jail, signal)).rejects.toMatchObject({ code: 'not_built' })
    await cp(`${layout.root}/copy`, await host.stageWorld(world), { recursive: true, verbatimSymlinks: true })
    await host.commitWorld(world)
    await host.mountRoot(jail, signal)
    await provision(host, jail)
    expect(readFileSync(join(root, 'data', 'of-the-client'), 'utf8')).toBe('kept')
    expect(existsSync(join(root, 'bin', 'sh'))).toBe(true)
    expect((await host.proveIsolation(jail, signal)).checks.filter(({ ok }) => !ok)).toEqual([])
    await trial.close()
  })

  it('lists no jail of another host on the same machine', async () => {
    const [trial, others] = [await trialHost(), await trialHost()]
    const jid = await provision(trial.host, trial.jail())
    await provision(others.host, others.jail())
    expect([...(await trial.host.listJails()).values()]).toEqual([{ jid }])
    for (const each of [trial, others]) await each.close()
  })

  it.each([undefined, 32 * 1024 ** 2])('finds a root that a boot has unmounted, with a disk limit of %s', async (disk) => {
    const trial = await trialHost()
    const jail = trial.jail()
    const limited = { ...jail, limits: { ...jail.limits, ...(disk ? { disk } : {}) } }
    await trial.host.ensureRoot(limited, signal)
    const { root, disk: writable } = trial.layout.jail(jail.name)
    for (const point of disk ? [root, writable] : [root]) await trial.run('umount', [point])
    expect(await trial.host.hasRoot(limited)).toBe(true)
    await trial.host.removeRoot(limited, signal)
    expect(await trial.host.hasRoot(limited)).toBe(false)
    await trial.close()
  })
})
