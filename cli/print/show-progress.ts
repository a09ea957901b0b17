import { createLogUpdate } from 'log-update'
import { hasEnded, type Operation } from '#shared/operation.ts'
import { formatDuration } from './amounts.ts'
import { moveLines, operationLines, outlook, standing, subjectOf } from './operation-lines.ts'

const redrawMs = 100

/** Shows operations as they come, live on a terminal and as plain lines elsewhere. Gives the last one. */
export async function showProgress(
  operations: AsyncIterable<Operation>,
  output: NodeJS.WriteStream = process.stdout,
): Promise<Operation> {
  const view = canRedraw(output) ? liveView(output) : plainView(output)
  let last: Operation | undefined
  try {
    for await (const operation of operations) {
      last = operation
      view.show(operation)
    }
  } finally {
    view.end()
  }
  if (!last) throw new Error('The operation has no events.')
  return last
}

/** A terminal whose size is known: one of no lines, as some programs make, would be shown nothing at all. */
export function canRedraw(output: NodeJS.WriteStream): boolean {
  return output.isTTY && output.columns > 0 && output.rows > 0
}

/** The lines to print when `operation` was moved or stands elsewhere than `before` did. */
export function changeLines(before: Operation | undefined, operation: Operation): string[] {
  const moves = (operation.moves ?? []).slice(before?.moves?.length ?? 0)
  const moved = moveLines(moves).map((line) => `${subjectOf(operation)} ${operation.kind} ${line}`)
  return [...moved, ...standingLines(before, operation)]
}

function standingLines(before: Operation | undefined, operation: Operation): string[] {
  const start = `${subjectOf(operation)} ${operation.kind} ${operation.percent}%:`
  if (hasEnded(operation.status)) {
    const ms = Date.parse(operation.finishedAt ?? operation.createdAt) - Date.parse(operation.startedAt ?? operation.createdAt)
    return [`${start} ${operation.status} after ${formatDuration(ms)}`]
  }
  // Between two jobs of one operation no step runs, which is nothing to tell.
  if (operation.status === 'running' && !operation.step && !operation.waiting) return []
  return before && standing(before) === standing(operation) ? [] : [`${start} ${outlook(operation)}`]
}

type View = { show(operation: Operation): void; end(): void }

function plainView(output: NodeJS.WritableStream): View {
  let before: Operation | undefined
  return {
    show: (operation) => {
      const lines = changeLines(before, operation)
      if (lines.length === 0) return
      before = operation
      output.write(`${lines.join('\n')}\n`)
    },
    end: () => {},
  }
}

function liveView(output: NodeJS.WriteStream): View {
  const update = createLogUpdate(output)
  let current: Operation | undefined
  const draw = () => {
    if (current) update(operationLines(current, Date.now()).join('\n'))
  }
  // The elapsed time goes on between two events.
  const timer = setInterval(draw, redrawMs)
  return {
    show: (operation) => {
      current = operation
      draw()
    },
    end: () => {
      clearInterval(timer)
      draw()
      update.done()
    },
  }
}
