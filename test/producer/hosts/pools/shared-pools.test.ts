import { expect, test } from 'vitest'
import { memoizeByPools } from '../../../../producer/hosts/pools/memoize-by-pools.ts'
import { sharedPools } from '../../../../producer/hosts/pools/shared-pools.ts'

const pool = (exclude: string[], gateway?: string) => ({
  name: 'main',
  cidr: '10.0.0.0/24',
  exclude,
  ...(gateway ? { gateway } : {}),
})

test('what one host of a shared pool keeps for itself no other gives out', () => {
  const other = { ...pool(['10.9.0.5']), name: 'other', cidr: '10.9.0.0/24' }
  const hosts = [
    { id: 'host1', pools: [pool(['10.0.0.2'], '10.0.0.1')] },
    { id: 'host2', pools: [pool(['10.0.0.3', '10.0.0.8-10.0.0.9'], '10.0.0.254'), other] },
  ]
  const kept = ['10.0.0.1', '10.0.0.2', '10.0.0.254', '10.0.0.3', '10.0.0.8-10.0.0.9']
  expect(sharedPools(hosts)).toEqual([[pool(kept, '10.0.0.1')], [pool(kept, '10.0.0.254'), other]])
})

test('a host has the same pools until those of some host change', () => {
  const poolsOf = memoizeByPools(sharedPools)
  const [one, two] = [
    { id: 'host1', pools: [pool([])] },
    { id: 'host2', pools: [pool(['10.0.0.2'])] },
  ]
  const before = poolsOf([one, two])
  expect(poolsOf([{ ...one }, two])[0]).toBe(before[0])
  const after = poolsOf([one, { id: 'host2', pools: [pool(['10.0.0.3'])] }])
  expect(after[0]?.[0]?.exclude).toEqual(['10.0.0.3'])
})
