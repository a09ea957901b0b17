import { readdirSync } from 'node:fs'
import { describe, expect } from 'vitest'
import type { TrialFreebsd } from '../../../support/hosts/trial-freebsd.ts'
import { provision, signal, stop, test } from './host-test.ts'

const world = { name: 'tiny', digest: 'a1'.repeat(32) }
const storages = ['ufs', 'zfs'] as const

/** Returns the names of all that there is of worlds. */
function placesOf({ layout, kernel }: TrialFreebsd): string[] {
  const prefix = `${layout.dataset}/worlds/`
  const datasets = [...kernel.datasets.keys(), ...kernel.snapshots.keys()].filter((name) => name.startsWith(prefix))
  return [...readdirSync(layout.worlds), ...datasets.map((name) => name.slice(prefix.length))]
}

describe('a world that is removed', () => {
  test.for(storages)('is gone after the next start when its removal was cut short, %s', async (storage, { open }) => {
    const trial = await open({ storage })
    trial.fail(storage === 'zfs' ? 'zfs' : 'rm', storage === 'zfs' ? 'destroy -r' : '-rfx', { stderr: 'killed\n' }, 1)
    await expect(trial.host.removeWorld(world)).rejects.toMatchObject({ code: 'command_failed' })
    expect(placesOf(trial)).not.toEqual([])
    const next = trial.runtime()
    await next.open()
    expect(await next.listWorlds()).toEqual([])
    await next.discardStages()
    expect(placesOf(trial)).toEqual([])
  })

  test('stays, with its name, while anything is cloned from it', async ({ open }) => {
    const trial = await open({ storage: 'zfs' })
    const jail = trial.jail()
    await provision(trial, jail)
    const before = placesOf(trial)
    await expect(trial.host.removeWorld(world)).rejects.toMatchObject({
      code: 'resource_busy',
      message: expect.stringContaining('dependent clones'),
    })
    expect(placesOf(trial)).toEqual(before)
    await stop(trial, jail)
    await trial.host.removeRoot(jail, signal)
    await trial.host.removeWorld(world)
    expect(placesOf(trial)).toEqual([])
  })
})

describe('what a host sees of its jails', () => {
  test('is all of those that run from its roots in one look, and none of others', async ({ open }) => {
    const trial = await open()
    const [first, second, foreign] = [trial.jail(), trial.jail(), trial.jail()]
    const [jid, secondJid] = [await provision(trial, first), await provision(trial, second)]
    const foreignJid = await provision(trial, foreign)
    const foreigner = trial.kernel.jails.get(foreignJid)
    if (foreigner) foreigner.path = '/usr/local/jails/j3'
    trial.commands.length = 0
    expect(await trial.host.listJails()).toEqual(
      new Map([
        ['j1', { jid }],
        ['j2', { jid: secondJid }],
      ]),
    )
    expect(trial.commands.map((argv) => argv.join(' '))).toEqual(['jls --libxo json jid name path dying'])
  })

  test('is a root also where its dataset is not mounted', async ({ open }) => {
    const trial = await open({ storage: 'zfs' })
    const jail = trial.jail()
    await trial.host.ensureRoot(jail, signal)
    const dataset = trial.kernel.datasets.get(trial.layout.jail('j1').dataset ?? '')
    if (dataset) dataset.mounted = false
    expect(await trial.host.hasRoot(jail)).toBe(true)
  })
})
