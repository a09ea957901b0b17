import { z } from 'zod'
import { CommandState, Isolation, Jail, Labels, Limits, Privileges } from '#shared/jail.ts'
import { JailSpec } from '#shared/job.ts'
import { JailFacts } from '#shared/redis/record-facts.ts'
import { integer, json, nullable } from '../fields.ts'
import { toJailCommand } from './jail-command.ts'
import { addressesOf, Lease } from './leases.ts'

const JailFields = JailFacts.extend({
  name: z.string(),
  client: z.string(),
  clientName: z.string().optional(),
  hostname: z.string(),
  world: z.string(),
  worldDigest: z.string(),
  leases: json(z.array(Lease)),
  limits: json(Limits),
  privileges: json(Privileges).optional(),
  command: json(z.array(z.string())).optional(),
  commandState: json(CommandState).optional(),
  labels: json(Labels),
  state: Jail.shape.state,
  reason: z.string().optional(),
  jid: nullable(integer),
  epoch: integer,
  isolation: json(Isolation).optional(),
  lastOperation: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
  revision: z.string(),
})

/** A jail's record: what HTTP shows, and fields that only the producer needs. */
export type JailRecord = z.infer<typeof JailFields>
/** A record that is not written yet: the script that writes it sets its revision. */
export type NewJail = Omit<JailRecord, 'revision'>

export const jailFromFields = (fields: Record<string, string>): JailRecord => JailFields.parse(fields)

export function toJail(jail: NewJail | JailRecord): Jail {
  const { leases, command, commandState, ...rest } = jail as JailRecord
  const { provision: _provision, worldDigest: _digest, revision: _revision, ...shown } = rest
  const said = command && { command: toJailCommand(command, rest.state, commandState) }
  return { ...shown, ...said, addresses: addressesOf({ leases }) } as Jail
}

export function toSpec(jail: NewJail): JailSpec {
  return JailSpec.parse({ ...jail, addresses: addressesOf(jail) })
}
