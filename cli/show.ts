import { Command } from 'commander'
import { Jail } from '#shared/jail.ts'
import { Operation } from '#shared/operation.ts'
import type { CommandContext } from './command-context.ts'
import { formatBytes } from './print/amounts.ts'
import { failureLines } from './print/operation-lines.ts'

export function showCommand({ client, print }: CommandContext): Command {
  return new Command('show')
    .description('one jail, with what was seen of its isolation')
    .argument('<name>', 'the jail')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (name: string, { json }: { json?: true }) => {
      const answer = await client().get(`/v1/jails/${encodeURIComponent(name)}`)
      if (json) return print(answer.text)
      const jail = Jail.parse(answer.body)
      print(...jailLines(jail), ...(await failureOf(jail)))
    })

  /** Why it is not as it was to be: what its last operation ended with, if that failed. */
  async function failureOf({ lastOperation }: Jail): Promise<string[]> {
    const answer = await client().get(`/v1/operations/${lastOperation}`)
    const operation = Operation.parse(answer.body)
    return operation.status === 'failed' ? ['', ...failureLines(operation)] : []
  }
}

export function jailLines(jail: Jail): string[] {
  const { limits } = jail
  const facts: [string, string][] = [
    ['jail', jail.name],
    ['state', jail.state],
    ['client', jail.client],
    ['host name', jail.hostname],
    ['host', jail.host],
    ['world', jail.world],
    ['addresses', jail.addresses.join(' ')],
    ['memory', formatBytes(limits.memory)],
    ['cpu', `${limits.cpu} cores`],
    ['processes', String(limits.processes)],
    ...(limits.disk ? [['disk', formatBytes(limits.disk)] as [string, string]] : []),
    ...(jail.command ? [['command', jail.command.join(' ')] as [string, string]] : []),
    ...(jail.jid === null ? [] : [['jid', String(jail.jid)] as [string, string]]),
    ...Object.entries(jail.labels).map(([key, value]): [string, string] => ['label', `${key}=${value}`]),
    ['created', jail.createdAt],
    ['updated', jail.updatedAt],
    ['operation', jail.lastOperation],
  ]
  const checks = jail.isolation?.checks.map(({ name, ok, detail }) => `  ${ok ? '✓' : '✗'} ${name}: ${detail}`) ?? []
  return [
    ...facts.map(([name, value]) => `${name.padEnd(11)}${value}`),
    ...(checks.length > 0 ? [`isolation, as seen at ${jail.isolation?.checkedAt}:`, ...checks] : []),
  ]
}
