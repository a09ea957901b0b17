import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ProvostError } from '#shared/errors.ts'
import type { JailSpec } from '#shared/job.ts'
import { undefinedIfAbsent } from '../../files/paths.ts'
import { waitUntil } from '../../wait-until.ts'
import type { FreebsdHost } from '../freebsd-host.ts'
import { limitRules, removeRules } from '../limits/limits.ts'
import { unmountDirectory } from '../root/mounts.ts'
import { disableAtBoot } from './boot.ts'
import { isAsWritten } from './jail-conf.ts'
import { findByName, findDying, isKept, type KernelJail } from './jls.ts'

/**
 * Ends the jail and waits until the kernel has let go of it. Its file is removed last: until then this can be tried again.
 * @throws ProvostError `resource_busy`
 */
export async function endJail(host: FreebsdHost, jail: JailSpec, signal: AbortSignal): Promise<void> {
  const { conf, root, commandStarted, commandEnd } = host.layout.jail(jail.name)
  await disableAtBoot(host, jail.name)
  const running = await findByName(host, jail.name, signal)
  // Somebody else's jail of this name must not be ended.
  if (running?.path === root) await remove(host, running, signal)
  let dying = await findDying(host, jail.name, signal)
  while (dying?.path === root) {
    await waitForEnd(host, jail, dying.jid, signal)
    dying = await findDying(host, jail.name, signal)
  }
  // jail(8) tries each unmount once, and never again for a jail that is gone.
  await unmountDirectory(host.run, join(root, 'dev'), signal)
  // Rules belong to the name, which somebody else's jail may have by now: then only those that are exactly ours are removed.
  const isAnothers = running !== undefined && running.path !== root
  for (const filter of isAnothers ? limitRules(host, jail) : [`jail:${jail.name}`]) await removeRules(host, filter, signal)
  for (const path of [commandStarted, commandEnd, conf, `${conf}.unchecked`]) await rm(path, { force: true })
}

/** Removes a jail with the file that it was started with, which undoes its mounts and addresses; without it where that fails. */
async function remove(host: FreebsdHost, { jid, name }: KernelJail, signal: AbortSignal): Promise<void> {
  const { conf } = host.layout.jail(name)
  if (await isUsable(conf)) {
    try {
      await host.run('jail', ['-r', '-f', conf, name], { signal, timeoutMs: host.patience.stop })
    } catch (error) {
      signal.throwIfAborted()
      // The jail stays up when exec.stop fails or hangs, or the file cannot be read; what else failed is undone after this.
      const isRefused = error instanceof ProvostError && ['command_failed', 'step_timeout'].includes(error.code)
      if (!isRefused) throw error
    }
  }
  // Jid and name together: meanwhile another jail may have taken the name.
  const left = await findByName(host, name, signal)
  if (left?.jid === jid) await host.run('jail', ['-R', `${jid}`], { signal })
}

/**
 * Whether the file is as we wrote it: `jail -r` would take the addresses that it names now off the host. Without a file it would
 * print nothing and undo nothing.
 */
async function isUsable(conf: string): Promise<boolean> {
  const text = await readFile(conf, 'utf8').catch(undefinedIfAbsent)
  return text !== undefined && isAsWritten(text)
}

/** Looks by the old jid: for a name jls(8) shows the jail that has it now. */
async function waitForEnd(host: FreebsdHost, jail: JailSpec, jid: number, signal: AbortSignal): Promise<void> {
  const { dying, poll } = host.patience
  if (await waitUntil(async () => !(await isKept(host, jid, signal)), dying, signal, poll)) return
  throw new ProvostError('resource_busy', `Jail ${jail.name} was removed, but its number ${jid} is still dying.`, {
    hint: 'Something still refers to it: see its sockets (sockstat -j), mounts and network interfaces; then retry.',
  })
}
