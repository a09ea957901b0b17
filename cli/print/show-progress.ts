import { createLogUpdate } from 'log-update'
import { hasEnded, type Operation } from '#shared/operation.ts'
import { formatDuration } from './amounts.ts'
import { operationLines, standing } from './operation-lines.ts'

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

/** The line to print when `operation` stands elsewhere than `before` did. */
export function changeLine(before: Operation | undefined, operation: Operation): string | undefined {
  const start = `${operation.jail} ${operation.kind} ${operation.percent}%:`
  if (hasEnded(operation.status)) {
    const ms = Date.parse(operation.finishedAt ?? operation.createdAt) - Date.parse(operation.startedAt ?? operation.createdAt)
    return `${start} ${operation.status} after ${formatDuration(ms)}`
  }
  // Between two jobs of one operation no step runs, which is nothing to tell.
  if (operation.status === 'running' && !operation.step && !operation.waiting) return undefined
  return before && standing(before) === standing(operation) ? undefined : `${start} ${standing(operation)}`
}

type View = { show(operation: Operation): void; end(): void }

function plainView(output: NodeJS.WritableStream): View {
  let before: Operation | undefined
  return {
    show: (operation) => {
      const line = changeLine(before, operation)
      if (!line) return
      before = operation
      output.write(`${line}\n`)
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
