import {
  describeStatus,
  hasEnded,
  lifeOfJail,
  type Move,
  type Operation,
  type OperationError,
  type StepState,
} from '#shared/operation.ts'
import { formatDuration, formatSeconds } from './amounts.ts'
import { cliHint } from './cli-hint.ts'

const marks = { pending: '·', running: '▸', succeeded: '✓', failed: '✗', undone: '↺' } as const
const barLength = 28

/** The subject of an operation: its jail or, for a fill, a world and a host. */
export function subjectOf({ jail, world, host }: Pick<Operation, 'jail' | 'world' | 'host'>): string {
  return jail ?? `${world} on ${host}`
}

/** The line of a command that does not wait. */
export function acceptedLine(operation: Operation): string {
  return `The ${operation.kind} of ${subjectOf(operation)} ${describeStatus(operation.status)}: operation ${operation.id}`
}

/** An operation while it runs: its subject, its progress, and every step with its mark. */
export function operationLines(operation: Operation, now: number): string[] {
  const steps = operation.steps.map((step) => `  ${stepLine(step, now)}`)
  return [progressLine(operation, now), ...steps, ...noteLines(operation)]
}

/** The same in one line, with names of one width for a list of many. */
export function progressLine(operation: Operation, now: number, nameWidth = 0): string {
  const percent = String(operation.percent).padStart(3)
  const elapsed = formatDuration(elapsedMs(operation, now))
  return `${subjectOf(operation).padEnd(nameWidth)}  ${operation.kind}  ${bar(operation.percent)} ${percent}%  ${elapsed}  ${statusWithEta(operation)}`
}

export function bar(percent: number, length = barLength): string {
  const full = Math.round((Math.min(100, Math.max(0, percent)) / 100) * length)
  return '━'.repeat(full) + '─'.repeat(length - full)
}

/** What an operation waits for, its step or its status; equal for states between which a log needs no line. */
export function statusText(operation: Operation): string {
  if (operation.waiting) return waitingText(operation.waiting)
  const step = operation.steps.find(({ name }) => name === operation.step)
  return operation.status === 'running' && step ? step.title : operation.status
}

/** The status text with, until a worker is at it, an estimate of the time left. */
export function statusWithEta(operation: Operation): string {
  const { status, waiting, eta } = operation
  const isAtWork = status === 'running' && !waiting
  return eta && !isAtWork && !hasEnded(status) ? `${statusText(operation)}, ${durationText(eta)}` : statusText(operation)
}

export function moveLines(moves: Move[] = []): string[] {
  return moves.map(({ from, to, reason }) => `moved from ${from} to ${to}: ${reason}`)
}

/** What becomes, or has become, of the jail of an operation whose cancel was asked for. */
export function cancelLines({ kind, jail, status, step, startedAt }: Operation): string[] {
  if (status === 'succeeded' || status === 'failed')
    return [`  It had ${status} before it could be cancelled: nothing is undone.`]
  if (kind === 'fill' || jail === null) return ['  What was filled of the world is thrown away, unless a jail waits for it.']
  const { cancelled } = lifeOfJail[kind]
  const [is, stays] = status === 'cancelled' ? ['is', 'is'] : ['will be', 'stays']
  if (cancelled === 'gone') return [`  Jail ${jail} ${is} gone from its host, and its name and addresses free.`]
  const hasBegun = startedAt !== null && (step !== null || status === 'cancelled')
  return hasBegun && cancelled ? [`  Jail ${jail} ${is} ${cancelled}.`] : [`  Jail ${jail} ${stays} as it was before.`]
}

/** What went wrong and what to do next. */
export function failureLines(operation: Operation): string[] {
  const { error } = operation
  if (!error) return [`The ${operation.kind} of ${subjectOf(operation)} ${describeStatus(operation.status)}.`]
  const step = operation.steps.find(({ name }) => name === error.step)
  const where = error.step ? ` at step ${error.step}${step ? ` (${step.title})` : ''}` : ''
  return [
    `The ${operation.kind} of ${subjectOf(operation)} ${operation.status === 'cancelled' ? 'was cancelled' : 'failed'}${where}.`,
    `  ${error.code}: ${error.message}`,
    ...commandLines(error),
    `  what to do: ${cliHint(error.hint)}`,
    `  the whole log: provost log ${operation.id}`,
    ...(operation.status === 'failed' ? [`  to try again: provost retry ${operation.id} --wait`] : []),
  ]
}

function commandLines({ command, exitCode, logTail }: OperationError): string[] {
  const output = logTail?.trimEnd()
  return [
    ...(command ? [`  command: ${command}`] : []),
    ...(exitCode === undefined ? [] : [`  exit code: ${exitCode}`]),
    ...(output ? ['  its last output:', ...output.split('\n').map((line) => `    | ${line}`)] : []),
  ]
}

function stepLine(step: StepState, now: number): string {
  const ms = step.startedAt ? (step.finishedAt ? Date.parse(step.finishedAt) : now) - Date.parse(step.startedAt) : undefined
  const again = step.attempt > 1 ? `  (try ${step.attempt})` : ''
  return `${marks[step.status]} ${step.title}${ms === undefined ? '' : `  ${formatDuration(ms)}`}${again}`
}

function noteLines({ status, waiting, eta, moves }: Operation): string[] {
  return [
    ...moveLines(moves).map((line) => `  ${line}`),
    ...(eta && status === 'running' && !waiting ? [`  ${durationText(eta)}`] : []),
  ]
}

/** Formats an estimate of the time left. */
export function durationText({ p50, p90 }: NonNullable<Operation['eta']>): string {
  return `about ${formatSeconds(p50)}, rarely over ${formatSeconds(p90)}`
}

function waitingText({ reason, position }: NonNullable<Operation['waiting']>): string {
  return `waiting: ${reason}${position === undefined ? '' : ` (place ${position})`}`
}

function elapsedMs(operation: Operation, now: number): number {
  const end = operation.finishedAt ? Date.parse(operation.finishedAt) : now
  return end - Date.parse(operation.startedAt ?? operation.createdAt)
}
