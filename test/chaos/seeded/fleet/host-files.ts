import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { JailSpec } from '#shared/job.ts'
import type { Failing } from '../schedule.ts'

/** A line of a host's log. A deed is noted when it begins and once it is done; `at` in microseconds. */
export type Deed = {
  at: number
  verb: string
  phase: 'begins' | 'done'
  jail?: string
  provision?: string
  operation?: string | undefined
  epoch?: number | undefined
  kind?: string | undefined
  addresses?: string[]
  world?: string
  /** What must never be done. */
  fault?: string
}

/** What is there of a jail: its root, its network, or that it runs. */
type Thing = { name: string; provision: string; addresses?: string[]; jid?: number }
type Place = 'roots' | 'networks' | 'jails'

/** What makes a host slow, or fail. Written from outside, read at each deed. */
export type Control = { slowMs: number; failing?: Failing; isFull?: boolean }

/** The files of a simulated host, as its worker and those who look at it see them. */
export function hostFiles(root: string) {
  const fileOf = (place: Place, name: string) => join(root, place, `${name}.json`)
  const files = {
    control: join(root, 'control.json'),
    deeds: join(root, 'deeds.ndjson'),
    bootFile: join(root, 'boot'),
    has: (place: Place, name: string) => existsSync(fileOf(place, name)),
    write: (place: Place, { name, provision }: JailSpec, more: Partial<Thing>) =>
      writeFileSync(fileOf(place, name), JSON.stringify({ name, provision, ...more })),
    remove: (place: Place, name: string) => rmSync(fileOf(place, name), { force: true }),
    jidOf: (name: string) => (files.has('jails', name) ? readJson<Thing>(fileOf('jails', name)).jid : undefined),
    list: (place: Place) =>
      existsSync(join(root, place)) ? readdirSync(join(root, place)).map((file) => readJson<Thing>(join(root, place, file))) : [],
    /** In one go: its worker reads it at any time. */
    setControl(control: Control): void {
      writeFileSync(`${files.control}.new`, JSON.stringify(control))
      renameSync(`${files.control}.new`, files.control)
    },
    readDeeds: () => readLines<Deed>(files.deeds),
    deedsSize: () => statSync(files.deeds).size,
    /** What the host remembers of its jails: the last entry of each that says whose it is. */
    readJournal: () => {
      const directory = join(root, 'journal', 'jails')
      if (!existsSync(directory)) return []
      return readdirSync(directory)
        .filter((file) => file.endsWith('.ndjson'))
        .flatMap(
          (file) => readLines<any>(join(directory, file)).findLast(({ type }) => type === 'begin' || type === 'jail') ?? [],
        )
    },
    /** For whom the host is at work on a jail, by what its journal says right now. */
    readAsker(name: string): { operation?: string; epoch?: number; kind?: string } {
      const entries = readLines<any>(join(root, 'journal', 'jails', `${name}.ndjson`))
      return entries.findLast(({ type }) => type === 'begin' || type === 'jail') ?? {}
    },
    /** A new host, or what its disk has after a power cut: no network and nothing that runs. */
    boot(at: number): void {
      mkdirSync(root, { recursive: true })
      for (const place of ['networks', 'jails']) rmSync(join(root, place), { recursive: true, force: true })
      for (const place of ['networks', 'jails']) mkdirSync(join(root, place))
      writeFileSync(files.bootFile, `boot ${at}`)
      appendFileSync(files.deeds, `${JSON.stringify({ at, verb: 'boot', phase: 'done' })}\n`)
    },
  }
  return files
}

export function readControl(path: string): Control {
  return existsSync(path) ? readJson(path) : { slowMs: 0 }
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8'))
}

/** A line that is being written is left out. */
function readLines<T>(path: string): T[] {
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8')
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
