import { expect, test } from 'vitest'
import { worldTable } from '../../../cli/hosts/worlds.ts'

test('shows on which hosts a world is defined differently than on others of their platform', () => {
  const on = (host: string, platform: string, digest: string) => ({
    host,
    platform,
    digest: digest.repeat(64),
    method: 'tree',
    state: 'ready' as const,
    prefill: true,
  })
  const hosts = [on('host1', 'linux/amd64', 'a'), on('host2', 'linux/amd64', 'b'), on('host3', 'freebsd/amd64', 'c')]
  expect(worldTable([{ name: 'app', conflict: ['linux/amd64'], hosts }])).toEqual([
    'WORLD  HOST   METHOD  STATE  DIGEST',
    'app    host1  tree    ready  aaaaaaaaaaaa  not placed: hosts of linux/amd64 define it differently',
    'app    host2  tree    ready  bbbbbbbbbbbb  not placed: hosts of linux/amd64 define it differently',
    'app    host3  tree    ready  cccccccccccc',
  ])
})
