import { globSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'

export type ByHand = {
  up(name: string): Promise<void>
  down(name: string): Promise<void>
  /** Makes jails, at most `parallel` at once, by xargs -P. */
  upMany(names: string[], parallel: number): Promise<void>
  close(): Promise<void>
}

const script = fileURLToPath(new URL('./by-hand.sh', import.meta.url))
const bridge = 'bhbridge'
const cgroup = 'provost-bench'
/** From a range for documentation (RFC 5737), which nobody routes. */
const network = { gateway: '198.51.100.1', address: (n: number) => `198.51.100.${n + 2}/24` }

/**
 * Prepares a bridge and a template from the OCI configuration of one of our own jails, so that both make the same jail from
 * the same tree with the same first process.
 */
export async function prepareByHand(directory: string, tree: string, ourConfig: string): Promise<ByHand> {
  mkdirSync(directory, { recursive: true })
  const config = JSON.parse(readFileSync(ourConfig, 'utf8')) as Config
  config.hostname = '@NAME@'
  config.root.path = '@ROOT@'
  config.linux.cgroupsPath = `/${cgroup}/@NAME@`
  for (const namespace of config.linux.namespaces) if (namespace.type === 'network') namespace.path = '/run/netns/bh@NAME@'
  const template = join(directory, 'template.json')
  writeFileSync(template, JSON.stringify(config))

  await execa('ip', ['-batch', '-'], {
    input: `link add ${bridge} type bridge\naddress add ${network.gateway}/24 dev ${bridge}\nlink set ${bridge} up\n`,
  })
  const env = {
    BENCH_DIR: directory,
    BENCH_TREE: tree,
    BENCH_BRIDGE: bridge,
    BENCH_GATEWAY: network.gateway,
    BENCH_CONFIG: template,
  }
  const addresses = new Map<string, string>()
  const addressOf = (name: string) => {
    const address = addresses.get(name) ?? network.address(addresses.size % 250)
    addresses.set(name, address)
    return address
  }
  return {
    up: async (name) => void (await execa(script, ['up', name, addressOf(name)], { env, stdin: 'ignore' })),
    down: async (name) => void (await execa(script, ['down', name], { env, stdin: 'ignore' })),
    upMany: async (names, parallel) => {
      const input = names.map((name) => `${name} ${addressOf(name)}`).join('\n')
      await execa('xargs', ['-P', String(parallel), '-L', '1', script, 'up'], { env, input })
    },
    async close() {
      await execa('ip', ['link', 'delete', bridge])
      // runc removes the jails' own cgroups, not the one above them.
      for (const directory of globSync(`/sys/fs/cgroup/{,*/}${cgroup}`)) rmdirSync(directory)
    },
  }
}

type Config = {
  hostname: string
  root: { path: string }
  linux: { cgroupsPath: string; namespaces: { type: string; path?: string }[] }
}
