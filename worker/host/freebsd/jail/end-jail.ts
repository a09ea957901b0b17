import { readFile, rm } from 'node:fs/promises'
import { errnoOf, ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { waitUntil } from '../../wait-until.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { limitRules, removeRules } from '../limits/limits.ts'
import { unmountBelow } from '../root/mounts.ts'
import { stayDownAtBoot } from './boot.ts'
import { isAsWritten } from './jail-conf.ts'
import { dyingJails, type FoundJail, findByName, isKept } from './jls.ts'

/**
 * Ends the jail and waits until the kernel has let go of it. Its file goes last: until then it can be tried again.
 * @throws ProvostError `resource_busy`
 */
export async function endJail(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { conf, root, commandStarted } = host.layout.jail(jail.name)
  await stayDownAtBoot(host, jail.name)
  const found = await findByName(host, jail.name, signal)
  // Another's jail of this name is none of ours to end.
  if (found?.path === root) await remove(host, found, signal)
  const dying = (await dyingJails(host, signal)).filter(({ path }) => path === root)
  for (const { jid } of dying) await waitForEnd(host, jail, jid, signal)
  // jail(8) tries each unmount once, and never again for a jail that is gone.
  await unmountBelow(host.run, root, signal)
  // Rules are the name's, which may be another's jail by now: then only those that are exactly ours go.
  const isAnothers = found !== undefined && found.path !== root
  for (const filter of isAnothers ? limitRules(jail) : [`jail:${jail.name}`]) await removeRules(host, filter, signal)
  for (const path of [commandStarted, conf, `${conf}.unchecked`]) await rm(path, { force: true })
}

/** With the file that it was started with, which undoes its mounts and addresses; where that is refused, without. */
async function remove(host: FreebsdHost, { jid, name }: FoundJail, signal: AbortSignal): Promise<void> {
  const { conf } = host.layout.jail(name)
  if (await isUsable(conf)) {
    try {
      await host.run('jail', ['-r', '-f', conf, name], { signal, timeoutMs: host.patience.stop })
    } catch (error) {
      signal.throwIfAborted()
      // The jail stays up when exec.stop fails or hangs, or the file is not read; what else failed is undone after this.
      const isRefused = error instanceof ProvostError && ['command_failed', 'step_timeout'].includes(error.code)
      if (!isRefused) throw error
    }
  }
  // Number and name together: meanwhile another jail may have taken the name.
  const left = await findByName(host, name, signal)
  if (left?.jid === jid) await host.run('jail', ['-R', `${jid}`], { signal })
}

/**
 * Only a file that is as we wrote it is used: `jail -r` would take the addresses that it names now off the host. Without a
 * file it would say nothing and undo nothing.
 */
async function isUsable(conf: string): Promise<boolean> {
  const text = await readFile(conf, 'utf8').catch((error) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
  return text !== undefined && isAsWritten(text)
}

/** By the old number: of a name jls(8) tells the jail that has it now. */
async function waitForEnd(host: FreebsdHost, jail: JailSpec, jid: number, signal: AbortSignal): Promise<void> {
  const { dying, poll } = host.patience
  if (await waitUntil(async () => !(await isKept(host, jid, signal)), dying, signal, poll)) return
  throw new ProvostError('resource_busy', `Jail ${jail.name} was removed, but its number ${jid} is still dying.`, {
    hint: 'Something still refers to it: see its sockets (sockstat -j), mounts and network interfaces; then retry.',
  })
}
