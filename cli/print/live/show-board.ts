import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { hasEnded, type Operation } from '#shared/operation.ts'
import type { Client } from '../../http/client.ts'
import { followOperation } from '../../http/follow-operation.ts'
import { formatDuration } from '../amounts.ts'
import { bar, progressLine, subjectOf } from '../operation-lines.ts'
import { changeLines } from './show-progress.ts'
import { canRedraw, makePicture } from './show-states.ts'

const Worlds = z.object({
  items: z.array(z.object({ name: z.string(), hosts: z.array(z.object({ state: z.string(), percent: z.number().optional() })) })),
})

const worldPollMs = 500
const worldStep = 10

/** Shows several operations at once until all have ended, with the fill of `world` above them. Returns them. */
export async function showBoard(client: Client, ids: string[], world?: string): Promise<Operation[]> {
  const operations = new Map<string, Operation>()
  const ending = new AbortController()
  const view = canRedraw(process.stdout) ? liveBoard(operations, ids) : plainBoard()
  const filling = world ? followWorld(client, world, view.fill, ending.signal) : undefined
  try {
    await Promise.all(
      ids.map(async (id) => {
        for await (const operation of followOperation(client, id)) {
          operations.set(id, operation)
          view.show(operation)
        }
      }),
    )
  } finally {
    ending.abort()
    await filling
    view.end()
  }
  return ids.flatMap((id) => operations.get(id) ?? [])
}

/** Returns the state of a world on the first host that offers it. */
export async function worldState(client: Client, name: string): Promise<{ state: string; percent?: number | undefined }> {
  const { items } = Worlds.parse((await client.get('/v1/worlds')).body)
  return items.find((world) => world.name === name)?.hosts[0] ?? { state: 'absent' }
}

async function followWorld(client: Client, name: string, show: (line: FillLine) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { state, percent = 0 } = await worldState(client, name)
    if (state === 'ready' || state === 'failed') return show({ name, state, percent: state === 'ready' ? 100 : percent })
    show({ name, state, percent })
    await pause(worldPollMs, undefined, { signal }).catch(() => {})
  }
}

type FillLine = { name: string; state: string; percent: number }
type Board = { show(operation: Operation): void; fill(line: FillLine): void; end(): void }

function liveBoard(operations: Map<string, Operation>, ids: string[]): Board {
  const started = Date.now()
  let fill: FillLine | undefined
  let filledAt: number | undefined
  const linesAt = (now: number) => {
    const shown = ids.flatMap((id) => operations.get(id) ?? [])
    const width = Math.max(fill?.name.length ?? 0, ...shown.map((operation) => subjectOf(operation).length))
    const lines = shown.map((operation) => progressLine(operation, now, width))
    if (fill) lines.unshift(fillLine(fill, (filledAt ?? now) - started, width))
    return lines
  }
  const picture = makePicture(process.stdout, linesAt)
  return {
    show: picture.draw,
    fill: (line) => {
      fill = line
      if (line.state === 'ready') filledAt ??= Date.now()
      picture.draw()
    },
    end: picture.end,
  }
}

function fillLine({ name, state, percent }: FillLine, ms: number, width: number): string {
  return `${name.padEnd(width)}  world      ${bar(percent)} ${String(percent).padStart(3)}%  ${formatDuration(ms)}  ${state}`
}

function plainBoard(): Board {
  const before = new Map<string, Operation>()
  let printed = ''
  return {
    show: (operation) => {
      const last = before.get(operation.id)
      const lines = last && hasEnded(last.status) ? [] : changeLines(last, operation)
      if (lines.length === 0) return
      before.set(operation.id, operation)
      process.stdout.write(`${lines.join('\n')}\n`)
    },
    fill: ({ name, state, percent }) => {
      const line = `world ${name} ${Math.floor(percent / worldStep) * worldStep}%: ${state}`
      if (line === printed) return
      printed = line
      process.stdout.write(`${line}\n`)
    },
    end: () => {},
  }
}
