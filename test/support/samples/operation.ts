import type { Operation } from '#shared/operation.ts'

/** A provision that runs its second of three steps, with what a test says of it. */
export function makeOperation(facts: Partial<Operation> = {}): Operation {
  return {
    id: '01936c3e-0000-7000-8000-000000000001',
    kind: 'provision',
    jail: 'web1',
    host: 'host1',
    status: 'running',
    percent: 45,
    step: 'clone-root',
    steps: [
      step('fill-world', 'Making the world ready', 'succeeded', '2026-01-01T00:00:01.000Z', '2026-01-01T00:00:03.500Z'),
      step('clone-root', 'Cloning the world', 'running', '2026-01-01T00:00:03.500Z', null),
      step('start-jail', 'Starting the jail', 'pending', null, null),
    ],
    attempt: 1,
    createdAt: '2026-01-01T00:00:00.000Z',
    startedAt: '2026-01-01T00:00:01.000Z',
    finishedAt: null,
    ...facts,
  }
}

function step(
  name: string,
  title: string,
  status: Operation['steps'][number]['status'],
  startedAt: string | null,
  finishedAt: string | null,
): Operation['steps'][number] {
  return { name, title, status, startedAt, finishedAt, attempt: 1 }
}
