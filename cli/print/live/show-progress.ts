import { hasEnded, type Operation } from '#shared/operation.ts'
import { formatDuration } from '../amounts.ts'
import { moveLines, operationLines, statusText, statusWithEta, subjectOf } from '../operation-lines.ts'
import { showStates } from './show-states.ts'

/** Shows an operation as it changes, live on a terminal and as plain lines elsewhere. Returns its last state. */
export async function showProgress(
  operations: AsyncIterable<Operation>,
  output: NodeJS.WriteStream = process.stdout,
): Promise<Operation> {
  return await showStates(operations, { lines: operationLines, changes: changeLines }, output)
}

/** Returns the lines to print for `operation`: its moves since `before`, and its status if that has changed. */
export function changeLines(before: Operation | undefined, operation: Operation): string[] {
  const moves = (operation.moves ?? []).slice(before?.moves?.length ?? 0)
  const moved = moveLines(moves).map((line) => `${subjectOf(operation)} ${operation.kind} ${line}`)
  return [...moved, ...statusLines(before, operation)]
}

function statusLines(before: Operation | undefined, operation: Operation): string[] {
  const start = `${subjectOf(operation)} ${operation.kind} ${operation.percent}%:`
  if (hasEnded(operation.status)) {
    const ms = Date.parse(operation.finishedAt ?? operation.createdAt) - Date.parse(operation.startedAt ?? operation.createdAt)
    return [`${start} ${operation.status} after ${formatDuration(ms)}`]
  }
  // No step runs between two jobs of an operation, which is not worth a line.
  if (operation.status === 'running' && !operation.step && !operation.waiting) return []
  return before && statusText(before) === statusText(operation) ? [] : [`${start} ${statusWithEta(operation)}`]
}
