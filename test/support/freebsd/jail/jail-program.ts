import { existsSync, statSync } from 'node:fs'
import { type Answer, failed, findJail, type Kernel, type KernelJail, notKnown, type Program, removeJail } from '../kernel.ts'
import { ConfError } from './conf-lexer.ts'
import { faultIn, faultOfOwn } from './jail-faults.ts'
import { aliasSteps, devfsStep, hooks, hostCommand, jailedCommand, type Step, unmountDevfs } from './jail-steps.ts'
import { type Conf, type ConfJail, lastOf, parseJailConf } from './parse-jail-conf.ts'

/** jail(8): -c, -r, -R and -e with -f. Exits with 0 or 1. */
export function jailProgram(kernel: Kernel): Program {
  return async (args) => {
    const file = args.includes('-f') ? args[args.indexOf('-f') + 1] : undefined
    const words = args.filter((arg, i) => arg !== '-f' && args[i - 1] !== '-f')
    const [flag, name, ...more] = words
    if (more.length > 0 || !name || !['-c', '-r', '-R', '-e'].includes(flag ?? '')) return notKnown(`jail ${args.join(' ')}`)
    if (flag === '-R') return forceRemove(kernel, name)
    if (file === undefined) return notKnown('jail without -f')
    // With -r a file that is not there is no fault: nothing but the jail itself is removed.
    if (flag === '-r' && !existsSync(file)) return forceRemove(kernel, name)
    try {
      const conf = parseJailConf(file)
      if (flag === '-e') return print(conf, name)
      const answer = flag === '-c' ? await create(kernel, conf, name) : await remove(kernel, conf, name)
      return { ...answer, stderr: conf.messages.map((line) => `${line}\n`).join('') + (answer.stderr ?? '') }
    } catch (error) {
      if (error instanceof ConfError) return failed(error.message)
      throw error
    }
  }
}

function print({ jails, messages }: Conf, separator: string): Answer {
  const value = (text: string) => (/[\s"']/.test(text) || text === '' ? `"${text.replaceAll('\\', '\\\\')}"` : text)
  const lines = jails.map(({ parameters }) =>
    [...parameters].map(([key, values]) => (values.length > 0 ? `${key}=${values.map(value).join(',')}` : key)).join(separator),
  )
  // What is wrong with a jail is on standard error, and the exit code is 0 all the same.
  return { stdout: lines.map((line) => `${line}\n`).join(''), stderr: messages.map((line) => `${line}\n`).join('') }
}

async function create(kernel: Kernel, conf: Conf, name: string): Promise<Answer> {
  const jail = conf.jails.find((each) => each.name === name)
  if (!jail) return failed(`jail: "${name}" not found`)
  const running = findJail(kernel, name)
  if (running && running.dyingFor === undefined) return failed(`jail: "${name}" already exists`)
  const fault = faultIn(jail)
  if (fault || conf.messages.some((line) => line.startsWith(`jail: ${name}: `))) return failed(fault ?? '')

  const notes: string[] = []
  const faults: string[] = []
  const done: Step[] = []
  for (const step of startSteps(kernel, jail, notes)) {
    const message = await step.forward()
    if (message === undefined) {
      done.push(step)
      continue
    }
    faults.push(message)
    // What was done is taken back, but no exec.* runs on this way.
    for (const each of done.reverse()) {
      const left = await each.back?.()
      if (left) faults.push(left)
    }
    return failed(faults.join('\n'), notes.join(''))
  }
  return { stdout: notes.join('') }
}

function startSteps(kernel: Kernel, { name, parameters }: ConfJail, notes: string[]): Step[] {
  const path = lastOf(parameters, 'path') ?? '/'
  let made: KernelJail | undefined
  return [
    ...hooks(kernel, name, parameters, 'exec.prepare', notes),
    ...aliasSteps(kernel, name, parameters),
    ...(parameters.has('mount.devfs') ? [devfsStep(kernel, name, parameters)] : []),
    ...hooks(kernel, name, parameters, 'exec.prestart', notes),
    {
      forward: async () => {
        if (!existsSync(path)) return `jail: ${name}: path ${path}: No such file or directory`
        if (!statSync(path).isDirectory()) return `jail: ${name}: path ${path}: Not a directory`
        const vnet = parameters.has('vnet')
        if (vnet && (parameters.has('ip4.addr') || parameters.has('ip6.addr')))
          return `jail: ${name}: vnet jails cannot have IP address restrictions`
        made = { jid: kernel.nextJid++, name, path, parameters, vnet, processes: new Set() }
        kernel.jails.set(made.jid, made)
        if (vnet) kernel.links.push(loopback(made.jid))
        notes.push(`${name}: created\n`)
        return undefined
      },
      back: async () => {
        if (made) removeJail(kernel, made)
        notes.push(`${name}: removed\n`)
        return undefined
      },
    },
    ...hooks(kernel, name, parameters, 'exec.created', notes),
    ...(parameters.get('vnet.interface') ?? []).map((link) => ({
      forward: async () => hostCommand(kernel, name, ['/sbin/ifconfig', link, 'vnet', name]),
      back: async () => hostCommand(kernel, name, ['/sbin/ifconfig', link, '-vnet', name]),
    })),
    ...(parameters.get('exec.start') ?? []).map((text) => ({
      forward: async () => made && jailedCommand(kernel, made, text),
    })),
    ...hooks(kernel, name, parameters, 'exec.poststart', notes),
    {
      forward: async () => {
        if (made && !parameters.has('persist') && made.processes.size === 0) removeJail(kernel, made)
        return undefined
      },
    },
  ]
}

async function remove(kernel: Kernel, conf: Conf, name: string): Promise<Answer> {
  const running = findJail(kernel, name)
  const jail = conf.jails.find((each) => each.name === name)
  if (!running || running.dyingFor !== undefined) return failed(`jail: "${name}" not found`)
  if (!jail) {
    removeJail(kernel, running)
    return { stdout: `${name}: removed\n` }
  }
  const fault = faultOfOwn(jail)
  if (fault) return failed(fault)
  const { parameters } = jail
  const notes: string[] = []
  const before = [
    ...hooks(kernel, name, parameters, 'exec.prestop', notes),
    ...(parameters.get('exec.stop') ?? []).map((text) => ({ forward: async () => jailedCommand(kernel, running, text) })),
  ]
  for (const step of before) {
    // The jail stays up, with all that it has.
    const message = await step.forward()
    if (message !== undefined) return failed(message, notes.join(''))
  }
  removeJail(kernel, running)
  notes.push(`${name}: removed\n`)
  const after: (() => Promise<string | undefined>)[] = [
    ...hooks(kernel, name, parameters, 'exec.poststop', notes).map(({ forward }) => forward),
    ...(parameters.has('mount.devfs') ? [() => unmountDevfs(kernel, name, lastOf(parameters, 'path') ?? '/')] : []),
    ...aliasSteps(kernel, name, parameters)
      .reverse()
      .map(
        ({ back }) =>
          async () =>
            back?.(),
      ),
    ...hooks(kernel, name, parameters, 'exec.release', notes).map(({ forward }) => forward),
  ]
  const faults: string[] = []
  for (const step of after) {
    const message = await step()
    if (message) faults.push(message)
  }
  return faults.length > 0 ? failed(faults.join('\n'), notes.join('')) : { stdout: notes.join('') }
}

/** -R of one jail says nothing, runs nothing and unmounts nothing. */
function forceRemove(kernel: Kernel, which: string): Answer {
  const jail = findJail(kernel, which)
  if (!jail || jail.dyingFor !== undefined) return failed(`jail: "${which}" not found`)
  removeJail(kernel, jail)
  return {}
}

function loopback(vnet: number) {
  return { name: 'lo0', kind: 'loop' as const, up: false, addresses: [], members: [], ether: '', vnet }
}
