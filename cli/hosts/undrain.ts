import { Command } from 'commander'
import { z } from 'zod'
import { Host } from '#shared/host.ts'
import type { CommandContext } from '../arguments/command-context.ts'

export function undrainCommand({ client, print }: CommandContext): Command {
  return new Command('undrain')
    .description('place jails on a drained host again')
    .argument('<host>', 'its id')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, { json }: { json?: true }) => {
      const answer = await client().send({ method: 'POST', path: `/v1/hosts/${encodeURIComponent(id)}/undrain` })
      if (json) return print(answer.text)
      const { host } = z.object({ host: Host }).parse(answer.body)
      print(`${host.id} is ${host.state}`)
    })
}
