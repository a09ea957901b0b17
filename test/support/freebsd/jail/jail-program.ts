import { existsSync, statSync } from 'node:fs'
import { type Answer, failed, findJail, type Kernel, type KernelJail, notKnown, type Program, removeJail } from '../kernel.ts'
import { ConfError } from './conf-lexer.ts'
import { faultIn, faultOfOwn } from './jail-faults.ts'
import { aliasSteps, devfsStep, hooks, hostCommand, jailedCommand, type Notes, type Step, unmountDevfs } from './jail-steps.ts'
import { type Conf, type ConfJail, lastOf, type Parameters, parseJailConf } from './parse-jail-conf.ts'

/** jail(8): -c, -r, -R and -e with -f, and -v before them. Exits with 0 or 1. */
export function jailProgram(kernel: Kernel): Program {
  return async (args) => {
    const file = args.includes('-f') ? args[args.indexOf('-f') + 1] : undefined
    const notes: Notes = { lines: [], verbose: args[0] === '-v' }
    const words = args.filter((arg, i) => arg !== '-f' && args[i - 1] !== '-f' && (i > 0 || arg !== '-v'))
    const [flag, name, ...more] = words
    if (more.length > 0 || !name || !['-c', '-r', '-R', '-e'].includes(flag ?? '')) return notKnown(`jail ${args.join(' ')}`)
    if (flag === '-R') return forceRemove(kernel, name)
    if (file === undefined) return notKnown('jail without -f')
    // With -r a file that is not there is no fault: nothing but the jail itself is removed.
    if (flag === '-r' && !existsSync(file)) return forceRemove(kernel, name)
    try {
      const conf = parseJailConf(file)
      if (flag === '-e') return print(conf, name)
      const answer = flag === '-c' ? await create(kernel, conf, name, notes) : await remove(kernel, conf, name, notes)
      return { ...answer, stderr: conf.messages.map((line) => `${line}\n`).join('') + (answer.stderr ?? '') }
    } catch (error) {
      if (error instanceof ConfError) return failed(error.message)
      throw error
    }
  }
}

/** The parameters that are the kernel's, with their addresses alone. */
function forKernel(parameters: Parameters): string {
  return [...parameters]
    .filter(([key]) => !/^(\$|exec\.|mount|stop\.timeout$|interface$|vnet\.interface$)/.test(key))
    .map(([key, values]) => (values.length > 0 ? `${key}=${values.map(bareAddress).join(',')}` : key))
    .join(' ')

  function bareAddress(text: string): string {
    return text.includes('|') ? ((text.split('|')[1] ?? '').split(/[/ ]/)[0] ?? '') : text
  }
}

function print({ jails, messages }: Conf, separator: string): Answer {
  const lines = jails.map(({ parameters }) =>
    [...parameters]
      .filter(([key]) => !key.startsWith('$'))
      .map(([key, values]) => (values.length > 0 ? `${key}=${values.map(quoted).join(',')}` : key))
      .join(separator),
  )
  // What is wrong with a jail is on standard error, and the exit code is 0 all the same.
  return { stdout: lines.map((line) => `${line}\n`).join(''), stderr: messages.map((line) => `${line}\n`).join('') }
}

/** Where there are quotes of one kind those of the other stand around it, and of both kinds, of none, or around blanks, `"`. */
function quoted(text: string): string {
  const quote = text.includes("'") ? '"' : text.includes('"') ? "'" : text === '' || /[ \t]/.test(text) ? '"' : ''
  const escaped = [...text].map((each) => (each === '\\' || each === quote ? `\\${each}` : each)).join('')
  return `${quote}${escaped}${quote}`
}

async function create(kernel: Kernel, conf: Conf, name: string, notes: Notes): Promise<Answer> {
  const jail = conf.jails.find((each) => each.name === name)
  if (!jail) return failed(`jail: "${name}" not found`)
  const running = findJail(kernel, name)
  if (running && running.dyingFor === undefined) return failed(`jail: "${name}" already exists`)
  const fault = faultIn(jail)
  if (fault || conf.messages.some((line) => line.startsWith(`jail: ${name}: `))) return fault ? failed(fault) : { exitCode: 1 }

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
    return failed(faults.join('\n'), notes.lines.join(''))
  }
  return { stdout: notes.lines.join('') }
}

function startSteps(kernel: Kernel, { name, parameters }: ConfJail, notes: Notes): Step[] {
  const path = lastOf(parameters, 'path') ?? '/'
  let made: KernelJail | undefined
  return [
    ...hooks(kernel, name, parameters, 'exec.prepare', notes),
    ...aliasSteps(kernel, name, parameters, notes),
    ...(parameters.has('mount.devfs') ? [devfsStep(kernel, name, parameters, notes)] : []),
    ...hooks(kernel, name, parameters, 'exec.prestart', notes),
    {
      forward: async () => {
        if (notes.verbose) notes.lines.push(`${name}: jail_set(JAIL_CREATE) ${forKernel(parameters)}\n`)
        if (!existsSync(path)) return `jail: ${name}: path ${path}: No such file or directory`
        if (!statSync(path).isDirectory()) return `jail: ${name}: path ${path}: Not a directory`
        const vnet = parameters.has('vnet')
        if (vnet && (parameters.has('ip4.addr') || parameters.has('ip6.addr')))
          return `jail: ${name}: vnet jails cannot have IP address restrictions`
        made = { jid: kernel.nextJid++, name, path, parameters, vnet, processes: new Set() }
        kernel.jails.set(made.jid, made)
        if (vnet) kernel.links.push(loopback(made.jid))
        notes.lines.push(`${name}: created\n`)
        return undefined
      },
      back: async () => {
        if (made) removeJail(kernel, made)
        notes.lines.push(`${name}: removed\n`)
        return undefined
      },
    },
    ...hooks(kernel, name, parameters, 'exec.created', notes),
    ...(parameters.get('vnet.interface') ?? []).map((link) => ({
      forward: async () => hostCommand(kernel, name, ['/sbin/ifconfig', link, 'vnet', `${made?.jid}`], notes),
      back: async () => hostCommand(kernel, name, ['/sbin/ifconfig', link, '-vnet', `${made?.jid}`], notes),
    })),
    ...(parameters.get('exec.start') ?? []).map((text) => ({
      forward: async () => made && jailedCommand(kernel, made, text, notes),
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

async function remove(kernel: Kernel, conf: Conf, name: string, notes: Notes): Promise<Answer> {
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
  const before = [
    ...hooks(kernel, name, parameters, 'exec.prestop', notes),
    ...(parameters.get('exec.stop') ?? []).map((text) => ({ forward: async () => jailedCommand(kernel, running, text, notes) })),
  ]
  for (const step of before) {
    // The jail stays up, with all that it has.
    const message = await step.forward()
    if (message !== undefined) return failed(message, notes.lines.join(''))
  }
  const pids = [...running.processes].map(({ pid }) => pid)
  if (notes.verbose && pids.length > 0 && lastOf(parameters, 'stop.timeout') !== '0')
    notes.lines.push(`${name}: sent SIGTERM to: ${pids.join(' ')}\n`)
  removeJail(kernel, running)
  notes.lines.push(`${name}: removed\n`)
  const after: (() => Promise<string | undefined>)[] = [
    ...hooks(kernel, name, parameters, 'exec.poststop', notes).map(({ forward }) => forward),
    ...(parameters.has('mount.devfs') ? [() => unmountDevfs(kernel, name, lastOf(parameters, 'path') ?? '/', notes)] : []),
    ...aliasSteps(kernel, name, parameters, notes)
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
  return faults.length > 0 ? failed(faults.join('\n'), notes.lines.join('')) : { stdout: notes.lines.join('') }
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
