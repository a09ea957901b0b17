import { setTimeout as pause } from 'node:timers/promises'
import { Command } from 'commander'
import { z } from 'zod'
import { Host } from '#shared/host.ts'
import type { CommandContext } from '../arguments/command-context.ts'
import type { Client } from '../http/client.ts'
import type { WaitOptions } from '../operations/request-operation.ts'

const pollMs = 500

export function drainCommand({ client, print }: CommandContext): Command {
  return new Command('drain')
    .description('place no more jails on a host; those on it stay')
    .argument('<host>', 'its id')
    .option('--wait', 'show how many operations are left on it and end when there are none; its jails stay')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, { wait, json }: WaitOptions) => {
      const path = `/v1/hosts/${encodeURIComponent(id)}`
      const answer = await client().send({ method: 'POST', path: `${path}/drain` })
      const { host } = z.object({ host: Host }).parse(answer.body)
      if (!wait) return print(json ? answer.text : drainLine(host))
      const quiet = await awaitQuiet(client(), path, json ? () => {} : print)
      if (json) return print(JSON.stringify({ host: quiet }))
      if (Host.parse(quiet).promised.jails > 0) print(`  They go only when they are destroyed: provost list --host ${host.id}`)
    })
}

/** Polls a drained host until no operation on it is open, and prints each change. Returns the host as HTTP shows it. */
async function awaitQuiet(client: Client, path: string, print: (line: string) => void): Promise<unknown> {
  let last = ''
  for (;;) {
    const { body } = await client.get(path)
    const host = Host.parse(body)
    const line = drainLine(host)
    if (line !== last) print(line)
    last = line
    // It is `up` until a second producer has seen the drain, and when it was undrained: then more may come.
    if (host.operations === 0 && host.state !== 'up') return body
    await pause(pollMs)
  }
}

function drainLine({ id, state, reason, operations, promised }: Host): string {
  const left = operations === 0 ? 'no operations' : operations === 1 ? '1 operation' : `${operations} operations`
  return `${id} is ${state}${reason ? ` (${reason})` : ''}: ${left} left; ${stayText(promised.jails)}`
}

function stayText(jails: number): string {
  if (jails === 0) return 'no jail is on it'
  return jails === 1 ? '1 jail stays' : `${jails} jails stay`
}
