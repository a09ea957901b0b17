import { Command } from 'commander'
import { z } from 'zod'
import type { CommandContext } from '../arguments/command-context.ts'

export function inviteCommand({ client, print }: CommandContext): Command {
  return new Command('invite')
    .description('make a token with which a host joins the fleet: once, within an hour')
    .argument('<host>', 'its id, as its worker.yaml has it')
    .option('--json', 'print the body of the HTTP answer')
    .action(async (id: string, { json }: { json?: true }) => {
      const answer = await client().send({ method: 'POST', path: `/v1/hosts/${encodeURIComponent(id)}/invite` })
      if (json) return print(answer.text)
      const { token, expiresAt } = z.object({ token: z.string(), expiresAt: z.string() }).parse(answer.body)
      print(token, `  On the host, as root, until ${expiresAt}: provost join ${token} --url URL`)
    })
}
