import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import { fault, fine, type Result } from '../../checks/check-result.ts'
import { undefinedIfAbsent } from '../../files/paths.ts'
import type { RunCommand } from '../../programs/run-command.ts'
import { bootFaults } from '../jail/boot-service.ts'
import type { Layout } from '../layout.ts'

type Place = { run: RunCommand; etc: string; layout: Layout }

/** Checks that what brings jails back at boot is as the worker arranged it when it first started. */
export async function checkBoot({ run, etc, layout }: Place): Promise<Result> {
  const faults = await bootFaults(run, etc, layout.boot)
  if (faults.length === 0) return fine('rc(8) starts jails, each from its own file, and their limits at boot.')
  return fault(`${faults.join('; ')}: jails do not come back at boot.`, 'Start the worker again: it arranges that.')
}

/**
 * Checks that rc.d/jail does not start our jails, too: what stands in jail.conf(5) outside of all blocks, or in one for `*`, would
 * apply to them. It would also be first with a jail of its own that has the name of ours.
 */
export async function checkJailConf({ run, etc, layout }: Place): Promise<Result> {
  const path = join(etc, 'jail.conf')
  const text = await readFile(path, 'utf8').catch(undefinedIfAbsent)
  const defined = text === undefined ? [] : await definitionsIn(run, path)
  const ours = defined.filter((jail) => jail.path === layout.jail(jail.name).root)
  if (ours.length > 0)
    return fault(
      `${path} has ${named(ours)} of Provost, which may come up by it with more than was asked for.`,
      `Take out of it what includes or copies files of ${layout.boot}: the service provost_jails starts them.`,
    )
  const running = (await readdir(layout.boot).catch(() => [])).map((name) => name.replace(/\.conf$/, ''))
  const taken = defined.filter(({ name }) => running.includes(name))
  if (taken.length === 0) return fine(`${path} has nothing to do with the jails of Provost.`)
  return fault(`${path} has ${named(taken)}, and so has Provost.`, 'Give the jails there other names, or take them out.')
}

const named = (jails: { name: string }[]) => `the jail${jails.length > 1 ? 's' : ''} ${jails.map(({ name }) => name).join(', ')}`

/** Returns the jails that a jail.conf(5) has; none where jail(8) finds a fault in it, since then it starts none either. */
async function definitionsIn(run: RunCommand, file: string): Promise<{ name: string; path?: string | undefined }[]> {
  const printed = await run('jail', ['-f', file, '-e', '\n']).then(
    ({ stdout }) => stdout,
    (error) => {
      if (error instanceof ProvostError && error.code === 'command_failed') return ''
      throw error
    },
  )
  return printed.split(/^(?=name=)/m).map((jail) => {
    const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(jail)?.[1]
    return { name: value('name') ?? '', path: value('path') }
  })
}
