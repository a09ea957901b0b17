import { describe, expect, it } from 'vitest'
import { detectCgroups } from '../../../../../worker/host/linux/limits/cgroups.ts'

const v1 = (controllers: string) => `32 31 0:29 / /sys/fs/cgroup/${controllers} rw,relatime - cgroup cgroup rw,${controllers}`
const v2 = (point: string) => `41 31 0:38 / ${point} rw,relatime - cgroup2 cgroup2 rw`

describe('detectCgroups', () => {
  it('finds each controller of v1 where it is mounted', () => {
    const cgroups = detectCgroups([v1('cpu,cpuacct'), v1('memory'), v1('pids')].join('\n'))
    expect(cgroups.version).toBe(1)
    expect(cgroups.directory('cpu', '/jails/a')).toBe('/sys/fs/cgroup/cpu,cpuacct/jails/a')
    expect(cgroups.directory('devices', '/jails/a')).toBeUndefined()
  })

  it('takes a hybrid for v1, and looks into its unified hierarchy too', () => {
    const cgroups = detectCgroups([v1('memory'), v2('/sys/fs/cgroup/unified')].join('\n'))
    expect(cgroups).toMatchObject({ version: 1, points: ['/sys/fs/cgroup/memory', '/sys/fs/cgroup/unified'] })
  })

  it('finds all controllers of v2 in one place', () => {
    const cgroups = detectCgroups(v2('/sys/fs/cgroup'))
    expect(cgroups).toMatchObject({ version: 2, points: ['/sys/fs/cgroup'] })
    expect(cgroups.directory('memory', '/jails/a')).toBe('/sys/fs/cgroup/jails/a')
  })
})
