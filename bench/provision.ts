import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import { z } from 'zod'
import { Jail } from '#shared/jail.ts'
import type { Operation } from '#shared/operation.ts'
import { spawnDev } from '../cli/dev/processes/spawn-dev.ts'
import { httpClient, WithOperation } from '../cli/http/client.ts'
import { tableLines } from '../cli/print/table.ts'
import { type ByHand, prepareByHand } from './by-hand.ts'
import { median, spread, timed } from './figures.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    many: { type: 'string', default: '100' },
    pairs: { type: 'string', default: '3' },
  },
})
const [rounds, many, pairs] = [Number(values.rounds), Number(values.many), Number(values.pairs)]
const treeFiles = 3_000

const directory = mkdtempSync(join(tmpdir(), 'provost-bench-'))
const print = (...lines: string[]) => process.stdout.write(`${lines.join('\n')}\n`)
const Provisioned = WithOperation.extend({ jail: Jail })

writeFileSync(join(directory, 'over.yaml'), stringify({ worlds: freshWorlds() }))
const dev = await spawnDev(join(directory, 'state'), ['--port', '0', '--config', join(directory, 'over.yaml')])
const client = httpClient(dev)
let byHand: ByHand | undefined
try {
  // One jail stays, so that our bridge stays as well, like the bridge of the jails made by hand.
  await provision('resident', 'busybox')
  const root = join(directory, 'state/hosts/dev-1/root')
  const config = join(root, 'jails/resident/bundle/config.json')
  byHand = await prepareByHand(join(directory, 'by-hand'), lowerOf(join(root, 'jails/resident/root')), config)
  await compareOne(byHand)
  await compareMany(byHand)
  await compareFills()
} finally {
  await byHand?.close()
  await destroy('resident')
  await dev.stop()
  rmSync(directory, { recursive: true, force: true })
}

/** Compares a jail from a ready world, from request until its isolation is proven, with one made by hand, in turns. */
async function compareOne(floor: ByHand): Promise<void> {
  const [ours, theirs]: [number[], number[]] = [[], []]
  const spans = new Map<string, number[]>()
  for (let round = -2; round < rounds; round += 1) {
    const name = `b${round + 2}`
    let operation: Operation | undefined
    const ourMs = await timed(async () => {
      operation = await provision(name, 'busybox')
    })
    await destroy(name)
    const theirMs = await timed(() => floor.up(name))
    await floor.down(name)
    // The first two rounds warm up.
    if (round < 0) continue
    ours.push(ourMs)
    theirs.push(theirMs)
    if (operation) noteSpans(spans, operation)
  }
  const ratio = median(ours) / median(theirs)
  print(`A jail from a ready world, asked to running and isolation proven, ${rounds} rounds in turns:`)
  print(
    ...tableLines(
      ['', 'MEDIAN (RANGE)'],
      [
        ['by hand', spread(theirs)],
        ['provost', spread(ours)],
      ],
    ),
  )
  print(`  ratio ${ratio.toFixed(2)} (goal: at most 2)`)
  print(`  of it: ${[...spans].map(([name, all]) => `${name} ${median(all).toFixed(0)}`).join(', ')} ms`, '')
}

async function compareMany(floor: ByHand): Promise<void> {
  const names = Array.from({ length: many }, (_, i) => `m${i}`)
  const parallel = availableParallelism()
  const theirs = await timed(() => floor.upMany(names, parallel))
  for (const name of names) await floor.down(name)
  const ours = await timed(() => Promise.all(names.map((name) => provision(name, 'busybox'))))
  await Promise.all(names.map(destroy))
  print(`${many} jails at once: by hand under xargs -P ${parallel} ${theirs.toFixed(0)} ms, provost ${ours.toFixed(0)} ms`)
  print(`  ratio ${(ours / theirs).toFixed(2)} (goal: at most 1.5)`, '')
}

/** Compares ten jails of an absent world with one of another such world: it must be filled only once. */
async function compareFills(): Promise<void> {
  const [one, ten]: [number[], number[]] = [[], []]
  for (let i = 0; i < pairs; i += 1) {
    one.push(await timed(() => provision(`one${i}`, `fresh-one-${i}`)))
    const names = Array.from({ length: 10 }, (_, n) => `ten${i}_${n}`)
    ten.push(await timed(() => Promise.all(names.map((name) => provision(name, `fresh-ten-${i}`)))))
    await Promise.all([`one${i}`, ...names].map(destroy))
  }
  const log = readFileSync(dev.state.logFile('dev-1'), 'utf8').split('\n')
  const fills = log.filter((line) => line.includes('"world":"fresh-ten-') && line.includes('world is ready')).length
  print(`A new world of ${treeFiles} files: one jail ${spread(one)}, ten at once ${spread(ten)}`)
  print(`  fills for ten jails: ${fills / pairs} (goal: 1)`)
}

/** Adds the durations of the steps and of the gaps between them, by the times in the operation. */
function noteSpans(spans: Map<string, number[]>, { createdAt, startedAt, finishedAt, steps }: Operation): void {
  const note = (name: string, from: string | null | undefined, to: string | null | undefined) => {
    if (!from || !to) return
    spans.set(name, [...(spans.get(name) ?? []), Date.parse(to) - Date.parse(from)])
  }
  note('202 to first step', createdAt, startedAt)
  for (const step of steps) note(step.name, step.startedAt, step.finishedAt)
  note(
    'build to start',
    steps.find(({ name }) => name === 'clone-root')?.finishedAt,
    steps.find(({ name }) => name === 'attach-network')?.startedAt,
  )
  note('last step to end', steps.at(-1)?.finishedAt, finishedAt)
}

async function provision(name: string, world: string): Promise<Operation> {
  const { jail, operation } = Provisioned.parse(
    (await client.sendAndWait({ method: 'POST', path: '/v1/jails', body: { name, client: 'bench', world } })).body,
  )
  if (jail.state !== 'running' || !jail.isolation || jail.isolation.checks.some(({ ok }) => !ok))
    throw new Error(`${name} is ${jail.state}: ${JSON.stringify(jail.isolation)}`)
  return operation
}

async function destroy(name: string): Promise<void> {
  const { body } = await client.sendAndWait({ method: 'DELETE', path: `/v1/jails/${name}` })
  const { operation } = z.object({ operation: z.object({ status: z.string() }) }).parse(body)
  if (operation.status !== 'succeeded') throw new Error(`${name} could not be destroyed.`)
}

/** Returns worlds that are copies of one tree; their names differ, so each is filled. */
function freshWorlds(): object[] {
  const path = join(directory, 'tree')
  for (const name of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp', 'usr']) mkdirSync(join(path, name), { recursive: true })
  for (let i = 0; i < treeFiles; i += 1) writeFileSync(join(path, 'usr', `file-${i}`), 'x'.repeat(4_096))
  return Array.from({ length: pairs }, (_, i) => [`fresh-one-${i}`, `fresh-ten-${i}`])
    .flat()
    .map((name) => ({ name, method: 'tree', path }))
}

/** Returns the lower directory of an overlay mount. */
function lowerOf(mountPoint: string): string {
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((text) => text.split(' ')[4] === mountPoint)
  const lower = /lowerdir=([^,]+)/.exec(line ?? '')?.[1]
  if (!lower) throw new Error(`${mountPoint} is no overlay.`)
  return lower
}
