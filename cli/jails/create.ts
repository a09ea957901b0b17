import { Command, InvalidArgumentError, Option } from 'commander'
import { Jail } from '#shared/jail.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { parseNumber } from '../arguments/parse-number.ts'
import { requestOperation, type WaitOptions } from '../operations/request-operation.ts'
import { describeCommand } from './describe-command.ts'
import { dryRun } from './dry-run.ts'

type CreateOptions = WaitOptions & {
  dryRun?: true
  client: string
  clientName?: string
  world: string
  hostname?: string
  host?: string
  address?: string[]
  memory?: string
  cpu?: number
  processes?: number
  disk?: string
  setuid?: true
  label?: Record<string, string>
}

export function createCommand(context: CommandContext): Command {
  return new Command('create')
    .description('make a jail: a root from a world, addresses, limits, and its own processes')
    .usage('NAME --client CLIENT --world WORLD [options] [-- COMMAND ARGUMENTS…]')
    .argument('<name>', 'a-z, 0-9 and _, the first a letter, at most 30')
    .argument('[command...]', 'after --: what to start in the jail, without a shell')
    .requiredOption('--client <client>', 'who the jail belongs to')
    .option('--client-name <name>', 'what people call that client, in any characters')
    .requiredOption('--world <world>', 'what its root is made from; see `provost worlds`')
    .option('--hostname <hostname>', 'its host name (default: the name)')
    .option('--address <address>', 'an address from a pool; may be repeated (default: a free one of each family)', collect)
    .option('--memory <size>', 'at most so much memory, like 512M')
    .option('--cpu <cores>', 'at most so many cores, like 0.5', parseNumber)
    .option('--processes <count>', 'at most so many processes', parseNumber)
    .option('--disk <size>', 'at most so much disk, where the host can hold it')
    .option('--setuid', 'let setuid and setgid programs give their rights, where the host allows it')
    .option('--host <host>', 'the host to put it on (default: chosen)')
    .option('--label <key=value>', 'a label; may be repeated', collectLabels)
    .addOption(new Option('--dry-run', 'make nothing; say which hosts it fits on, and why not on the others').conflicts('wait'))
    .option('--wait', 'show the progress and end when the jail runs')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (name: string, words: string[], options: CreateOptions, command: Command) => {
      const dashes = process.argv.indexOf('--')
      const stray = words.slice(0, words.length - (dashes < 0 ? 0 : process.argv.length - dashes - 1))
      if (stray.length > 0) command.error(`error: too many arguments: ${stray.join(' ')}. A command for the jail goes after --`)
      await createJail(context, name, words, options)
    })
}

async function createJail(context: CommandContext, name: string, words: string[], options: CreateOptions): Promise<void> {
  const {
    client,
    clientName,
    world,
    hostname,
    host,
    address,
    memory,
    cpu,
    processes,
    disk,
    setuid,
    label,
    dryRun: isDryRun,
    ...waiting
  } = options
  const limits = { memory, cpu, processes, disk }
  const body = {
    name,
    client,
    clientName,
    world,
    hostname,
    host,
    addresses: address,
    labels: label,
    ...(Object.values(limits).some((limit) => limit !== undefined) ? { limits } : {}),
    ...(setuid ? { privileges: { setuid } } : {}),
    ...(words.length > 0 ? { command: words } : {}),
  }
  if (isDryRun) return dryRun(context, body, waiting)
  const ended = await requestOperation(context, { method: 'POST', path: '/v1/jails', body }, waiting)
  if (!ended) return
  const jail = Jail.parse((await context.client().get(`/v1/jails/${name}`)).body)
  const checks = jail.isolation?.checks ?? []
  context.print(
    `${jail.name} is ${jail.state} on ${jail.host} at ${jail.addresses.join(' and ')}; ` +
      `${checks.filter(({ ok }) => ok).length} of ${checks.length} isolation checks passed`,
  )
  if (jail.command?.state === 'exited')
    context.print(`its command ${describeCommand(jail.command)}; what it printed: provost logs ${jail.name}`)
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}

function collectLabels(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It must be KEY=VALUE.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
