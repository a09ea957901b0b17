import { Command } from 'commander'
import { Jail } from '#shared/jail.ts'
import { hasEnded, Operation } from '#shared/operation.ts'
import { formatBytes } from '#shared/size.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import { Refusal } from '../http/refusal.ts'
import { type Fact, factLines } from '../print/fact-lines.ts'
import { failureLines, moveLines, operationLines } from '../print/operation-lines.ts'
import { quoteWords } from '../print/quote-words.ts'
import { describeCommand } from './describe-command.ts'

export function showCommand({ client, print }: CommandContext): Command {
  return new Command('show')
    .description('one jail, with what was seen of its isolation')
    .argument('<name>', 'the jail')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (name: string, { json }: { json?: true }) => {
      const answer = await client().get(`/v1/jails/${encodeURIComponent(name)}`)
      if (json) return print(answer.text)
      const jail = Jail.parse(answer.body)
      print(...jailLines(jail), ...(await lastOperationLines(jail)))
    })

  /** Why the jail is on its host and in its state: the progress, the moves or the failure of its last operation. */
  async function lastOperationLines({ lastOperation }: Jail): Promise<string[]> {
    const operation = await findOperation(lastOperation)
    if (!operation) return []
    if (!hasEnded(operation.status)) return ['', ...operationLines(operation, Date.now())]
    return [...moveLines(operation.moves), ...(operation.status === 'failed' ? ['', ...failureLines(operation)] : [])]
  }

  /** Undefined for one that ended too long ago, or that only the host of an adopted jail knew. */
  async function findOperation(id: string): Promise<Operation | undefined> {
    try {
      return Operation.parse((await client().get(`/v1/operations/${id}`)).body)
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return undefined
      throw error
    }
  }
}

function jailLines(jail: Jail): string[] {
  const { limits } = jail
  const facts = factLines([
    ['jail', jail.name],
    ['state', jail.reason ? `${jail.state}: ${jail.reason}` : jail.state],
    ['client', jail.clientName ? `${jail.client} (${jail.clientName})` : jail.client],
    ['host name', jail.hostname],
    ['host', jail.host],
    ['world', jail.world],
    ['addresses', jail.addresses.join(' ')],
    ['memory', formatBytes(limits.memory)],
    ['cpu', `${limits.cpu} cores`],
    ['processes', String(limits.processes)],
    ['disk', limits.disk ? formatBytes(limits.disk) : undefined],
    ['privileges', jail.privileges?.setuid ? 'setuid and setgid programs give their rights' : undefined],
    ['command', jail.command && quoteWords(jail.command.argv)],
    ['its command', jail.command && describeCommand(jail.command)],
    ['jid', jail.jid?.toString()],
    ...Object.entries(jail.labels).map(([key, value]): Fact => ['label', `${key}=${value}`]),
    ['created', jail.createdAt],
    ['updated', jail.updatedAt],
    ['operation', jail.lastOperation],
  ])
  const checks = jail.isolation?.checks.map(({ name, ok, detail }) => `  ${ok ? '✓' : '✗'} ${name}: ${detail}`) ?? []
  return [...facts, ...(checks.length > 0 ? [`isolation, as seen at ${jail.isolation?.checkedAt}:`, ...checks] : [])]
}
