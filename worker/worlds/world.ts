import { createHash } from 'node:crypto'
import { z } from 'zod'
import { PlainName } from '#shared/jail.ts'

const common = { name: PlainName, prefill: z.boolean().default(false) }
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in 64 hex digits')
const AbsolutePath = z.string().startsWith('/', 'must be an absolute path')

/** debootstrap(8): a Debian or Ubuntu suite from a mirror; without one, from the mirror that apt uses here. */
export const DebootstrapWorld = z.strictObject({
  ...common,
  method: z.literal('debootstrap'),
  suite: PlainName,
  mirror: z.url({ protocol: /^https?$/ }).optional(),
  variant: z.enum(['minbase', 'buildd']).default('minbase'),
  include: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]*$/)).default([]),
})
export type DebootstrapWorld = z.infer<typeof DebootstrapWorld>

/** A tar of any compression that tar(1) knows, checked against a sha256 or against the line of a FreeBSD MANIFEST. */
export const ArchiveWorld = z
  .strictObject({
    ...common,
    method: z.literal('archive'),
    path: AbsolutePath.optional(),
    url: z.url({ protocol: /^https?$/ }).optional(),
    sha256: Sha256.optional(),
    /** Path or URL of a MANIFEST, which has name, sha256 and entry count of each archive. */
    manifest: z.union([AbsolutePath, z.url({ protocol: /^https?$/ })]).optional(),
  })
  .refine((world) => (world.path === undefined) !== (world.url === undefined), { message: 'needs one of path and url' })
  .refine((world) => world.sha256 !== undefined || world.manifest !== undefined, { message: 'needs sha256 or manifest' })
export type ArchiveWorld = z.infer<typeof ArchiveWorld>

/** A copy of a directory. */
export const TreeWorld = z.strictObject({ ...common, method: z.literal('tree'), path: AbsolutePath })
export type TreeWorld = z.infer<typeof TreeWorld>

/** A tree made from the host's static busybox: small, ready in a second, for trials and tests. */
export const BusyboxWorld = z.strictObject({ ...common, method: z.literal('busybox') })
export type BusyboxWorld = z.infer<typeof BusyboxWorld>

export const World = z.discriminatedUnion('method', [DebootstrapWorld, ArchiveWorld, TreeWorld, BusyboxWorld])
export type World = z.infer<typeof World>

/** The sha256 of a world's definition: what it is made of, not when it is made. */
export function worldDigest(world: World): string {
  const { prefill: _, ...definition } = world
  const sorted = Object.fromEntries(Object.entries(definition).sort(([a], [b]) => (a < b ? -1 : 1)))
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex')
}
