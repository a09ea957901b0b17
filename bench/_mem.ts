import { mkdtempSync, rmSync } from 'node:fs'
import pLimit from 'p-limit'
import { openFleet } from './fleet/open-fleet.ts'
const n = 10000, hosts = 100
for (const value of ['64', '2048']) {
const dir = mkdtempSync('/tmp/provost-mem-')
const fleet = await openFleet(dir, 'm', hosts)
try {
  await fleet.redis.config('SET', 'hash-max-listpack-value', value)
  const before = await fleet.usedMemory()
  const limit = pLimit(32)
  await Promise.all(Array.from({ length: n }, () => limit(() => fleet.admit())))
  console.log('listpack-value', value, 'per jail', ((await fleet.usedMemory()) - before) / n)
  const sums: Record<string, [number, number]> = {}
  let cursor = '0'
  do {
    const [next, keys] = await fleet.redis.scan(cursor, 'COUNT', 2000)
    cursor = next
    const p = fleet.redis.pipeline()
    for (const k of keys) p.call('MEMORY', 'USAGE', k, 'SAMPLES', '0')
    const r = (await p.exec()) ?? []
    keys.forEach((k, i) => {
      const pat = k.replace(/host\d{4}/g, 'H').replace(/j\d{7}/, 'J').replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'U').replace(/10\.\d+\.\d+\.\d+\/\d+/, 'C')
      const s = (sums[pat] ??= [0, 0]); s[0]++; s[1] += Number(r[i]?.[1] ?? 0)
    })
  } while (cursor !== '0')
  for (const [k, [c, b]] of Object.entries(sums).sort((a, b) => b[1][1] - a[1][1]).slice(0, 22)) console.log((b / n).toFixed(0).padStart(6), 'B/jail', String(c).padStart(7), 'keys', k)
  const one = await fleet.redis.keys('{provost}:host:*build*build')
  console.log(await fleet.redis.hgetall(one[0]!), await fleet.redis.hgetall((await fleet.redis.keys('{provost}:jail:j*'))[0]!), await fleet.redis.hgetall((await fleet.redis.keys('{provost}:operation:*'))[0]!))
} finally { await fleet.close(); rmSync(dir, { recursive: true, force: true }) }
}
