import { expect, test } from 'vitest'
import type { HostRuntime } from '../../../worker/host/host-runtime.ts'
import { removeJail } from '../../../worker/jails/remove-jail.ts'
import { planOf, stepsOf } from '../../../worker/plans/plans.ts'
import type { StepContext } from '../../../worker/plans/steps/step.ts'
import { makeJob } from '../samples.ts'

/** A host that only notes what it is asked to do. */
function notingHost() {
  const asked: string[] = []
  const host = new Proxy({} as HostRuntime, { get: (_, name) => async () => void asked.push(String(name)) })
  return { host, asked }
}

const { jail } = makeJob()

test('what is left of a jail is taken off its host by the steps of a destroy', async () => {
  const leftover = notingHost()
  await removeJail(jail, leftover.host, 'with-root')
  const destroyed = notingHost()
  const context = { host: destroyed.host, jail, learn: () => undefined, signal: new AbortController().signal }
  const plan = planOf('destroy', 1, [1])
  for (const step of plan ? stepsOf(plan) : []) await step.run(context as unknown as StepContext)
  expect(leftover.asked).toEqual(destroyed.asked)
  expect(leftover.asked).toEqual(['removeJail', 'removeNetwork', 'removeRoot'])
})

test('a jail that only does not run keeps its root', async () => {
  const { host, asked } = notingHost()
  await removeJail(jail, host, 'but-root')
  expect(asked).toEqual(['removeJail', 'removeNetwork'])
})
