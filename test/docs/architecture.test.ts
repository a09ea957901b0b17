import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { JailOperationKind, lifeOfJail } from '#shared/operation.ts'
import { planOf } from '../../worker/plans/plans.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8')
const houses = ['producer', 'worker', 'cli', 'shared']

/** The cells of the tables below a heading, without those of their heads. */
function tableOf(heading: string): string[][] {
  const section = page.split(/^#+ /m).find((each) => each.startsWith(`${heading}\n`)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

const inTicks = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text)

/** The rooms of a house, as the page has them: from the top down. */
const roomsOf = (house: string) => tableOf(`${house}/`).flatMap(([room]) => inTicks(room))

const sources = houses.flatMap((house) =>
  readdirSync(join(root, house), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `${house}/${path}`),
)
const textOf = (file: string) => readFileSync(join(root, file), 'utf8')

/** The files of the project that a file imports, its types, too. */
function importsOf(file: string): string[] {
  const names = [...textOf(file).matchAll(/(?:from|import\() ?'([^']+)'/g)].map(([, name = '']) => name)
  return names.flatMap((name) => {
    if (name.startsWith('#shared/')) return [`shared/${name.slice('#shared/'.length)}`]
    return name.startsWith('.') ? [normalize(join(dirname(file), name))] : []
  })
}

/** The room of a file: the deepest one that the page has. Undefined for a folder that it does not have. */
function roomOf(file: string, rooms: string[]): string | undefined {
  const [house = '', folder = ''] = file.split('/')
  const own = folder.endsWith('.ts') ? house : `${house}/${folder}`
  return rooms.includes(own) ? own : undefined
}

describe.each(houses)('the rooms of %s/', (house) => {
  const rooms = roomsOf(house)
  // What both sides of an address need is no room of its own: the vocabulary is made of it.
  const files = sources.filter((file) => file.startsWith(`${house}/`) && !file.startsWith('shared/network/'))

  test('are those of the page', () => {
    const folders = new Set(files.map((file) => dirname(file).split('/').slice(0, 2).join('/')))
    expect([...folders].sort()).toEqual(rooms.toSorted())
  })

  test('import only from rooms below them', () => {
    const climbing = files.flatMap((file) => {
      const from = roomOf(file, rooms) ?? ''
      return importsOf(file)
        .map((imported) => ({ imported, to: roomOf(imported, rooms) }))
        .filter(({ to }) => to !== undefined && rooms.indexOf(to) < rooms.indexOf(from))
        .map(({ imported }) => `${file} imports ${imported}`)
    })
    expect(climbing).toEqual([])
  })
})

test('no runtime imports another one', () => {
  const runtimes = ['worker/host/freebsd/', 'worker/host/linux/']
  const across = sources.flatMap((file) => {
    const own = runtimes.find((runtime) => file.startsWith(runtime))
    const others = own ? runtimes.filter((runtime) => runtime !== own) : []
    return importsOf(file).filter((imported) => others.some((other) => imported.startsWith(other)))
  })
  expect(across).toEqual([])
})

describe('the life of a jail', () => {
  test('is on the page as it is in the code', () => {
    const rows = Object.entries(lifeOfJail).map(([kind, { refusedOf, doneOf, meanwhile, succeeded, failed, cancelled }]) => [
      ...[kind, refusedOf.join(', '), doneOf ?? '', meanwhile.join(', ')],
      ...[succeeded, failed, cancelled ?? ''],
    ])
    expect(tableOf('The life of a jail')).toEqual(rows)
  })

  test.each(JailOperationKind.options)('is what the plan of a %s takes it through', (kind) => {
    const parts = planOf(kind, 1, [1])?.parts ?? []
    // Between two jobs of an operation a jail is built.
    const states = parts.flatMap(({ job, jailState }, i) =>
      i > 0 && parts[i - 1]?.job !== job ? ['built', jailState] : [jailState],
    )
    expect(states).toEqual(lifeOfJail[kind].meanwhile)
  })

  test.each(JailOperationKind.options)('knows a step of the plan of a %s by its name', (kind) => {
    const names = planOf(kind, 1, [1])?.parts.flatMap(({ steps }) => steps.map(({ name }) => name)) ?? []
    expect(new Set(names).size).toBe(names.length)
  })
})

test('all background work is on the page', () => {
  const named = (house: string) =>
    sources
      .filter(
        (file) =>
          file.startsWith(`${house}/`) && !file.startsWith('producer/http/') && file !== 'worker/host/programs/follow-file.ts',
      )
      .flatMap((file) => [...textOf(file).matchAll(/\b(?:repeat|follow)\('([^']+)'/g)].map(([, name = '']) => name))
      .sort()
  const rows = Object.fromEntries(tableOf('Background work').map(([who = '', work]) => [who, inTicks(work).sort()]))
  expect(rows).toEqual({ producer: named('producer'), worker: named('worker') })
})

test('every file that the page names is there', () => {
  const files = inTicks(page).filter((name) => /^(producer|worker|cli|shared|test|docs)\/[\w/-]+\.(ts|lua|md)$/.test(name))
  expect(files.length).toBeGreaterThan(10)
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([])
})

test('times of records, reports and journals are those of the fleet, not of one computer', () => {
  const own: Record<string, string> = {
    'producer/http/access/session.ts': 'a session is opened and checked by one clock',
    'producer/http/answers/await-replica.ts': 'how long a request has taken',
    'shared/redis/fleet-clock.ts': 'compares the two',
    'worker/doctor/clock.ts': 'compares the two',
    'worker/host/files/lock-host.ts': 'a note for people on the host',
    'worker/host/files/world-ids.ts': 'the name of a file of the host',
    'worker/host/linux/checks/check.ts': 'the age of a file of the host',
    'worker/host/linux/worlds.ts': 'the name of a directory of the host',
    'worker/jobs/sleep-jobs.ts': "BullMQ's delays are by the clock of its worker",
    'worker/journal/set-aside.ts': 'the name of a file of the host',
  }
  const services = sources.filter((file) => /^(producer|worker|shared)\//.test(file))
  const users = services.filter((file) => /new Date\(\)|Date\.now\(\)/.test(textOf(file)))
  expect(users.sort()).toEqual(Object.keys(own).sort())
})
