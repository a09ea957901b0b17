import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { RuntimeName } from '#shared/host.ts'
import { PlainName } from '#shared/jail.ts'

const common = { name: PlainName, prefill: z.boolean().default(false) }
const Sha256 = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'must be a sha256 in 64 hex digits')
  .toLowerCase()
export const AbsolutePath = z.string().startsWith('/', 'must be an absolute path')

/** debootstrap(8): a Debian or Ubuntu suite from a mirror; without `mirror`, from the one that apt uses here. */
export const DebootstrapWorld = z.strictObject({
  ...common,
  method: z.literal('debootstrap'),
  suite: PlainName,
  mirror: z.url({ protocol: /^https?$/ }).optional(),
  variant: z.enum(['minbase', 'buildd']).default('minbase'),
  include: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]*$/)).default([]),
})
export type DebootstrapWorld = z.infer<typeof DebootstrapWorld>

/** A release of FreeBSD, without its patch level: `14.4`. */
const Release = z.string().regex(/^\d{1,2}\.\d{1,2}$/, 'must be a release of FreeBSD, like 14.4')

/** fetch takes no user and password in a URL, and would say them in its refusal. */
const FetchedUrl = z
  .url({ protocol: /^https?$/ })
  .refine((url) => !/^[^/]*\/\/[^/?#]*@/.test(url), 'must have no user and password: they cannot be sent')

/**
 * A tar with any compression that tar(1) knows, checked against a sha256 or against its line in a file of checksums. With
 * `release` it is FreeBSD's base.txz: the official one unless `path` or `url` names another, checked against the trusted
 * MANIFEST of the package freebsd-release-manifests where that is installed, else against the one beside it.
 */
export const ArchiveWorld = z
  .strictObject({
    ...common,
    method: z.literal('archive'),
    path: AbsolutePath.optional(),
    url: FetchedUrl.optional(),
    sha256: Sha256.optional(),
    /** Path or URL of a file of checksums: a FreeBSD MANIFEST, or what sha256sum or sha256(1) prints. */
    manifest: z.union([AbsolutePath, FetchedUrl]).optional(),
    release: Release.optional(),
    /** Where trusted MANIFESTs are, if not in /usr/local/share/freebsd/MANIFESTS. */
    manifests: AbsolutePath.optional(),
  })
  .refine(({ path, url }) => path === undefined || url === undefined, { message: 'needs one of path and url' })
  .refine(({ path, url, release }) => path !== undefined || url !== undefined || release !== undefined, {
    message: 'needs one of path and url, or a release of FreeBSD',
  })
  .refine(({ sha256, manifest, release }) => sha256 !== undefined || manifest !== undefined || release !== undefined, {
    message: 'needs sha256 or manifest, or a release of FreeBSD',
  })
  .refine(({ manifests, release }) => manifests === undefined || release !== undefined, { message: 'manifests needs release' })
export type ArchiveWorld = z.infer<typeof ArchiveWorld>

const MachineName = z.string().regex(/^[a-z][a-z0-9_]*$/, 'must be a name like amd64')

/** build(7): `make installworld` and what belongs to it, from a source tree that was built, or is built first. */
export const SourceWorld = z.strictObject({
  ...common,
  method: z.literal('source'),
  path: AbsolutePath.default('/usr/src'),
  /** Whether to build it first, which takes hours the first time. */
  buildworld: z.boolean().default(false),
  /** The object tree. It stays, so that a build that failed goes on where it failed. */
  objects: AbsolutePath.default('/usr/obj'),
  /** How many jobs make(1) runs at once; by default as many as there are CPUs. */
  jobs: z.int().positive().optional(),
  target: MachineName.optional(),
  targetArch: MachineName.optional(),
})
export type SourceWorld = z.infer<typeof SourceWorld>

/** freebsd-base(7): the base system's own packages, from 15.0 on. */
export const PkgbaseWorld = z.strictObject({
  ...common,
  method: z.literal('pkgbase'),
  release: Release.refine((release) => Number(release.split('.')[0]) >= 15, {
    message: 'must be 15.0 or later: older releases have no packages for jails; use method archive',
  }),
  /** The packages of the release as it came out, or with all fixes since. */
  branch: z.enum(['release', 'latest']).default('release'),
  /** The set of packages, without FreeBSD-set- before it. */
  set: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]*$/, 'must be a name like minimal-jail')
    .default('base-jail'),
  /** The URL of the packages, before `/FreeBSD:15:amd64/…`, if not pkg.FreeBSD.org. */
  mirror: z.url({ protocol: /^https?$/ }).optional(),
  /** The directory with the keys that sign the packages. */
  keys: AbsolutePath.default('/usr/share/keys'),
})
export type PkgbaseWorld = z.infer<typeof PkgbaseWorld>

/** A copy of a directory. */
export const TreeWorld = z.strictObject({ ...common, method: z.literal('tree'), path: AbsolutePath })
export type TreeWorld = z.infer<typeof TreeWorld>

/** A tree made from the host's static busybox: small, ready in a second, for tests and demonstrations. */
export const BusyboxWorld = z.strictObject({ ...common, method: z.literal('busybox') })
export type BusyboxWorld = z.infer<typeof BusyboxWorld>

export const World = z.discriminatedUnion('method', [
  DebootstrapWorld,
  ArchiveWorld,
  SourceWorld,
  PkgbaseWorld,
  TreeWorld,
  BusyboxWorld,
])
export type World = z.infer<typeof World>

const methodsByRuntime = {
  freebsd: ['source', 'archive', 'pkgbase', 'tree'],
  linux: ['debootstrap', 'archive', 'tree', 'busybox'],
} as const satisfies Record<RuntimeName, World['method'][]>

/** Returns why a world cannot be made on hosts of a runtime: the field at fault and the message; undefined when it can. */
export function misfit(world: World, runtime: RuntimeName): { field: string; message: string } | undefined {
  const methods: readonly string[] = methodsByRuntime[runtime]
  if (!methods.includes(world.method))
    return { field: 'method', message: `${world.method} makes no world for runtime ${runtime}; use one of ${methods.join(', ')}` }
  if (runtime === 'linux' && world.method === 'archive' && world.release !== undefined)
    return { field: 'release', message: 'is one of FreeBSD, which runs on no host of runtime linux' }
  return undefined
}

/** Returns the sha256 of a world's definition: what it is made of, not when or how fast it is made. */
export function worldDigest(world: World): string {
  const { prefill: _, jobs: __, ...definition } = { jobs: undefined, ...world }
  const sorted = Object.fromEntries(Object.entries(definition).sort(([a], [b]) => (a < b ? -1 : 1)))
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex')
}
