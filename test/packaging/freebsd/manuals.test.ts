import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { CommandContext } from '../../../cli/arguments/command-context.ts'
import { WorkerFile } from '../../../worker/config/config.ts'
import { findProgram } from '../../../worker/host/programs/run-command.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const pages = { 'provost.8': '', 'provost.yaml.5': '' }
for (const name of Object.keys(pages) as (keyof typeof pages)[])
  pages[name] = readFileSync(`${root}/packaging/freebsd/man/${name}`, 'utf8')

const mandoc = findProgram('mandoc', '/bin:/usr/bin:/usr/local/bin')
if (!mandoc) console.error('\nNOT RUN HERE: the lint of the manual pages: there is no mandoc; script/bootstrap installs it\n')

describe.skipIf(!mandoc)('the manual pages', () => {
  it.each(Object.keys(pages))('have nothing that mandoc warns of: %s', (name) => {
    const lint = ['-Tlint', '-Wwarning', `${root}/packaging/freebsd/man/${name}`]
    expect(execFileSync(mandoc ?? '', lint, { encoding: 'utf8' })).toBe('')
  })
})

/** The macro lines of a part of a page, from a heading to the next. */
function section(page: string, heading: string): string {
  const start = page.indexOf(`\n${heading}\n`)
  if (start === -1) throw new Error(`no ${heading}`)
  const rest = page.slice(start + heading.length + 2)
  return rest.split(/^\.S[sh] /m)[0] ?? ''
}

/** The commands of the command line, as they are made for a user, by what a user types. */
async function commands(): Promise<[string, Command][]> {
  const imports = readFileSync(`${root}/cli/main.ts`, 'utf8').matchAll(/import \{ (\w+Command) \} from '(\.\/[\w/-]+\.ts)'/g)
  const context: CommandContext = { client: () => expect.unreachable(), print() {} }
  const verbs: Command[] = await Promise.all(
    [...imports].map(async ([, name = '', file = '']) =>
      (await import(/* @vite-ignore */ `../../../cli/${file}`))[name](context),
    ),
  )
  return verbs.flatMap((verb) => [
    [verb.name(), verb],
    ...verb.commands.map((below): [string, Command] => [`${verb.name()} ${below.name()}`, below]),
  ])
}

/** The verbs that a form of the synopsis is for. */
function verbsOf(form: string): string[] {
  return form.match(/(?<=^\.Cm ).*/m)?.[0].split(' | ') ?? []
}

describe('provost(8)', () => {
  it('has every verb, with exactly its options', async () => {
    const all = await commands()
    expect(all.length).toBeGreaterThanOrEqual(20)
    const synopsis = section(pages['provost.8'], '.Sh SYNOPSIS').split(/^\.Nm$/m)
    const described = section(pages['provost.8'], '.Ss Commands')
    for (const [verb, command] of all) {
      const form = synopsis.find((each) => verbsOf(each).includes(verb)) ?? ''
      const flags = [...form.matchAll(/(?<=\bFl (?:.* \| )?)-([a-z][a-z-]*)/g)].map(([, name]) => `--${name}`)
      expect(flags.toSorted(), verb).toEqual(command.options.map(({ long }) => long).sort())
      expect(described).toMatch(new RegExp(`^\\.It Cm ${verb}( (Ar|Op) |$)`, 'm'))
      for (const flag of flags)
        expect(described.includes(`.Fl ${flag.slice(1)}`) || described.includes(`.It Fl ${flag.slice(1)}`)).toBe(true)
    }
  })

  it('has every service, by what the executable starts', () => {
    const services = readFileSync(`${root}/bin/provost`, 'utf8').matchAll(/^ {2}(\w+)\) main=/gm)
    const part = section(pages['provost.8'], '.Ss Services')
    for (const [, name] of services) expect(part).toContain(`\n.It Cm ${name}\n`)
  })

  it('has every setting in the environment', () => {
    const files = ['cli/http/config.ts', 'producer/config.ts', 'worker/config/config.ts'].map((file) =>
      readFileSync(`${root}/${file}`, 'utf8'),
    )
    const names = new Set(files.join('').match(/PROVOST_[A-Z_]+/g))
    const documented = section(pages['provost.8'], '.Sh ENVIRONMENT').match(/(?<=^\.It Ev )\S+/gm)
    expect(documented?.toSorted()).toEqual([...names].sort())
  })
})

type JsonSchema = {
  properties?: Record<string, JsonSchema>
  items?: JsonSchema
  oneOf?: JsonSchema[]
  const?: string
  allOf?: JsonSchema[]
}

/** The paths of all keys below a schema, but for the worlds. */
function keysOf(schema: JsonSchema, path = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, below]) => {
    const own = path + name
    if (own === 'worlds') return [own]
    return [...(below.properties ? [] : [own]), ...keysOf(below, `${own}.`), ...keysOf(below.items ?? {}, `${own}[].`)]
  })
}

describe('provost.yaml(5)', () => {
  const schema = z.toJSONSchema(WorkerFile, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  const page = pages['provost.yaml.5']
  const listed = (text: string) => text.match(/(?<=^\.It Va )\S+/gm) ?? []

  it('has every key, and none that is not one', () => {
    const parts = ['.Ss The host', '.Ss The network', '.Ss Capacity and limits'].map((heading) => section(page, heading))
    expect([...listed(parts.join('')), 'worlds'].sort()).toEqual(keysOf(schema).sort())
  })

  it('has every method of worlds, with every key of each', () => {
    const methods = schema.properties?.['worlds']?.items?.oneOf ?? []
    expect(methods.length).toBe(6)
    const common = listed(section(page, '.Ss Worlds'))
    for (const { properties = {} } of methods) {
      const method = properties['method']?.const ?? ''
      const own = method === 'busybox' ? [] : listed(section(page, `.Ss Method ${method}`))
      expect([...common, ...own].sort(), method).toEqual(Object.keys(properties).sort())
    }
  })
})
