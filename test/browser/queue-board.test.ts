import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { ProvostError } from '#shared/errors.ts'
import { openBrowser, whyNoBrowser } from '../support/browser.ts'
import { makeClient } from '../support/fleets/client.ts'
import { startFleet } from '../support/fleets/fleet.ts'
import { test } from '../support/fleets/fleet-test.ts'
import { startPathProxy } from '../support/fleets/path-proxy.ts'
import { test as withRedis } from '../support/redis/redis-test.ts'
import { until } from '../support/until.ts'

describe.skipIf(whyNoBrowser())('the queue board in a browser', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser?.close())

  test('is behind a login, shows why a job failed, and retries it', async ({ fleet }) => {
    fleet.host().before('ensureJail', () => {
      throw new ProvostError('command_failed', 'runc would not.')
    })
    const asked = await fleet.ask('web1', { clientName: 'Größe & Söhne' })
    expect((await fleet.ended(asked)).status).toBe('failed')
    fleet.host().clear('ensureJail')
    const { id } = asked.body.operation

    const page = await browser.newPage()
    const { asked: requests, faults } = watch(page)
    await page.goto(`${fleet.url}/queues`)
    expect(page.url()).toBe(`${fleet.url}/login?to=/queues`)
    await page.getByLabel('API key').fill('a guess')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('alert').getByText('This is not a key of this fleet.').waitFor()
    await page.getByLabel('API key').fill(fleet.apiKey)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.waitForURL(`${fleet.url}/queues`)

    await page.goto(`${fleet.url}/queues/queue/host1.start?status=failed`)
    await page.getByText('start web1 of acme (Größe & Söhne) on host1').waitFor()
    const shown = page.getByText('command_failed: runc would not.').first()
    expect(await shown.innerText()).toBe(
      "command_failed: runc would not.\n\nWhat to do: Read the command's output in the operation's log, fix its cause, then retry.",
    )
    // Those of a job have no names.
    const retry = page.locator('[class^="jobActions"] button:visible')
    const offered = async () => [
      await retry.count(),
      await page.locator('[class^="queueActions"] button:visible').allInnerTexts(),
    ]
    expect(await offered()).toEqual([1, ['Retry all']])
    expect(await page.locator('[class^="trailing"] button:visible').count()).toBe(0)
    await retry.click()
    await page.getByText('Are you sure that you want to retry this job?').waitFor()
    await page.getByRole('button', { name: 'Confirm' }).click()
    await until('the next attempt', async () => (await fleet.operation(id)).attempt === 2)
    expect(await fleet.ended(asked)).toMatchObject({ id, status: 'succeeded' })

    await retry.click()
    await page.getByRole('button', { name: 'Confirm' }).click()
    await page.getByText(`Operation ${id} has succeeded; only a failed or a cancelled one can be retried.`).waitFor()
    expect(requests.filter((url) => !url.startsWith(`${fleet.url}/`) && !url.startsWith('data:'))).toEqual([])
    expect(faults).toEqual([])
  })

  withRedis.for([true, false])(
    'is reached below a path of a proxy, as all is (which strips it: %s)',
    async (strips, { redis }) => {
      const proxy = await startPathProxy('/ops/provost', { strips })
      const fleet = await startFleet(redis, { publicUrl: proxy.url })
      proxy.passTo(fleet.url)
      fleet.host().before('ensureJail', () => {
        throw new ProvostError('command_failed', 'runc would not.')
      })
      const ops = makeClient(proxy.url)
      const asked = await ops.ask('web1')
      const { id } = asked.body.operation
      expect(asked.headers.get('location')).toBe(`/ops/provost/v1/operations/${id}`)
      expect((await ops.ended(asked)).status).toBe('failed')
      fleet.host().clear('ensureJail')

      const context = await browser.newContext()
      const page = await context.newPage()
      const { asked: requests, faults } = watch(page)
      await page.goto(`${proxy.url}/queues/queue/host1.start?status=failed`)
      await page.getByLabel('API key').fill(fleet.apiKey)
      await page.keyboard.press('Enter')
      await page.waitForURL(`${proxy.url}/queues/queue/host1.start?status=failed`)
      expect((await context.cookies()).map(({ path }) => path)).toEqual(['/ops/provost'])
      await page.locator('[class^="jobActions"] button:visible').click()
      await page.getByRole('button', { name: 'Confirm' }).click()
      await until('the next attempt', async () => (await ops.operation(id)).attempt === 2)
      expect(await page.getByText('Log of the operation').first().getAttribute('href')).toBe(
        `/ops/provost/v1/operations/${id}/log`,
      )
      expect(requests.filter((url) => !url.startsWith(`${proxy.url}/`) && !url.startsWith('data:'))).toEqual([])
      expect(faults).toEqual([])
      const described = page.waitForResponse(`${proxy.url}/openapi.json`)
      await page.goto(`${proxy.url}/docs`)
      expect((await described).status()).toBe(200)
      await page.getByRole('heading', { name: 'Provost' }).first().waitFor()
      await page.goto(`${proxy.url}/logout`)
      expect(page.url()).toBe(`${proxy.url}/login`)
      expect(await context.cookies()).toEqual([])
      await context.close()
      await fleet.stop()
      await proxy.close()
    },
  )

  test('lets people in without JavaScript, and out again', async ({ fleet }) => {
    const context = await browser.newContext({ javaScriptEnabled: false })
    const page = await context.newPage()
    await page.goto(`${fleet.url}/login?to=/v1/hosts`)
    await page.getByLabel('API key').fill(fleet.apiKey)
    await page.keyboard.press('Enter')
    await page.waitForURL(`${fleet.url}/v1/hosts`)
    await page.goto(`${fleet.url}/logout`)
    expect((await page.goto(`${fleet.url}/v1/hosts`))?.status()).toBe(401)
    await context.close()
  })
})

/** What a page asks for, and what it complains of. */
function watch(page: Page): { asked: string[]; faults: string[] } {
  const asked: string[] = []
  const faults: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    // A refusal is no fault; what a policy of the page forbids is.
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) faults.push(message.text())
  })
  return { asked, faults }
}
