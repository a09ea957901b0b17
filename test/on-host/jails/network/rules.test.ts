import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Isolation } from '#shared/jail.ts'
import { whyNoLinuxJails } from '../../../support/hosts/host-fitness.ts'
import { provision, trialHost } from '../../../support/hosts/trial-host.ts'

const whyNot = whyNoLinuxJails()
if (whyNot) console.warn(`NOT RUN HERE: the rules of jails' links: ${whyNot}`)

const { signal } = new AbortController()
const networkOf = ({ checks }: Isolation) => checks.find(({ name }) => name === 'network')

describe.skipIf(whyNot)("the rules of a jail's link", () => {
  it('are missed one by one by the proof, which also sees one too much, and are put back', async () => {
    const trial = await trialHost()
    const jail = trial.jail()
    await provision(trial.host, jail)
    const { filter } = trial.layout.jail(jail.name)
    const nft = async (input: string) => (await trial.run('nft', ['-a', '-nn', '--file', '-'], { input })).stdout
    const listing = () => nft(`list table netdev ${filter}\n`)
    const prove = async () => networkOf(await trial.host.proveIsolation(jail, signal))
    const whole = await listing()
    expect(await prove()).toEqual({ name: 'network', ok: true, detail: expect.stringContaining('and to the host nothing') })

    type Rule = { chain: string; text: string; handle: string }
    const rules = (text: string): Rule[] =>
      text
        .split(/^\s*chain /m)
        .slice(1)
        .flatMap((chain) => {
          const name = chain.split(' ', 1)[0] ?? ''
          return [...chain.matchAll(/^\t\t(.*) # handle (\d+)$/gm)].map(([, line = '', handle = '']) => ({
            chain: name,
            text: line,
            handle,
          }))
        })
    // Faster than a start, which is asked for below.
    const asMade = whole.replaceAll(/ # handle \d+/g, '')
    const putBack = () => nft(`delete table netdev ${filter}\n${asMade}`)
    const unseen: string[] = []
    const count = rules(whole).length
    for (let i = 0; i < count; i++) {
      const rule = rules(await listing())[i]
      if (!rule) throw new Error(`there is no rule ${i}`)
      await nft(`delete rule netdev ${filter} ${rule.chain} handle ${rule.handle}\n`)
      if ((await prove())?.ok !== false) unseen.push(rule.text)
      await putBack()
    }
    // Each element of each set.
    const elements = rules(await listing()).flatMap(({ text }) =>
      [...text.matchAll(/\{ ([^}]*) \}/g)].flatMap(([, list = '']) => list.split(', ').map((element) => ({ text, element }))),
    )
    for (const { text, element } of elements) {
      const rule = rules(await listing()).find((each) => each.text === text)
      if (!rule) throw new Error(`there is no rule ${text}`)
      const less = text.replace(/\{ ([^}]*) \}/g, (set, list: string) =>
        list.split(', ').includes(element)
          ? `{ ${list
              .split(', ')
              .filter((each) => each !== element)
              .join(', ')} }`
          : set,
      )
      // Not `replace`, at which nft 1.0.6 gives up where a set has ranges.
      const at = `${filter} ${rule.chain}`
      await nft(`add rule netdev ${at} position ${rule.handle} ${less}\ndelete rule netdev ${at} handle ${rule.handle}\n`)
      if ((await prove())?.ok !== false) unseen.push(`${element} of ${text}`)
      await putBack()
    }
    for (const more of [
      `add rule netdev ${filter} to_host accept`,
      `insert rule netdev ${filter} from_jail accept`,
      `chain netdev ${filter} from_jail { policy accept; }`,
      `delete table netdev ${filter}`,
    ]) {
      await nft(`${more}\n`)
      if ((await prove())?.ok !== false) unseen.push(more)
      await trial.host.ensureNetwork(jail, signal)
    }
    expect(unseen).toEqual([])
    expect(elements.length).toBeGreaterThan(20)
    expect((await prove())?.ok).toBe(true)
    const bare = (text: string) => text.replaceAll(/ # handle \d+/g, '')
    expect(bare(await listing())).toBe(bare(whole))
    await trial.close()
  })

  it('go with the jail, are missed at a look for drift, and are removed at a start when their link is gone', async () => {
    const trial = await trialHost()
    const [jail, other] = [trial.jail(), trial.jail({ client: 'globex' })]
    for (const each of [jail, other]) await provision(trial.host, each)
    const tables = async () =>
      [...(await trial.run('nft', ['list', 'tables', 'netdev'])).stdout.matchAll(/\S+$/gm)]
        .map(([name]) => name)
        .filter((name) => name.startsWith(trial.layout.filters))
    const filterOf = ({ name }: { name: string }) => trial.layout.jail(name).filter
    expect((await tables()).sort()).toEqual([filterOf(jail), filterOf(other)].sort())
    expect(await trial.host.unlinkedJails([jail, other])).toEqual(new Set())
    await trial.run('nft', ['delete', 'table', 'netdev', filterOf(other)])
    expect(await trial.host.unlinkedJails([jail, other])).toEqual(new Set([other.name]))
    await trial.host.ensureNetwork(other, signal)
    expect(await trial.host.unlinkedJails([jail, other])).toEqual(new Set())
    // As a worker leaves it that was killed on its way, with all that it noted lost.
    await trial.host.removeJail(other, signal)
    await trial.run('ip', ['link', 'delete', 'dev', trial.layout.jail(other.name).veth])
    await trial.host.open()
    expect(await tables()).toEqual([filterOf(jail)])
    for (const each of [jail, other]) {
      await trial.host.removeJail(each, signal)
      await trial.host.removeNetwork(each, signal)
    }
    expect(await tables()).toEqual([])
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(trial.layout.networks)
    await trial.close()
  })
})
