import { hasEnded, type Operation } from '#shared/operation.ts'
import { formatDuration } from './amounts.ts'
import { moveLines, operationLines, outlook, standing, subjectOf } from './operation-lines.ts'
import { showStates } from './show-states.ts'

/** Shows an operation as it comes, live on a terminal and as plain lines elsewhere. Gives its last state. */
export async function showProgress(
  operations: AsyncIterable<Operation>,
  output: NodeJS.WriteStream = process.stdout,
): Promise<Operation> {
  return await showStates(operations, { lines: operationLines, changes: changeLines }, output)
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
