import { describe, expect } from 'vitest'
import { openBrowser, whyNoBrowser } from '../support/browser.ts'
import { test } from '../support/fleets/fleet-test.ts'

describe.skipIf(whyNoBrowser())('the reference in a browser', () => {
  test('shows every call and asks no other site for anything', async ({ fleet }) => {
    const browser = await openBrowser()
    const page = await browser.newPage()
    const requests: string[] = []
    page.on('request', (request) => void requests.push(request.url()))
    await page.goto(`${fleet.url}/docs/`)
    await page.getByRole('heading', { name: 'Provost', exact: true }).first().waitFor()
    expect(await page.title()).toBe('Provost: every call')
    await page.getByText(`curl ${fleet.url}/`).or(page.getByText(fleet.url)).first().waitFor()
    const foreign = requests.filter((url) => !url.startsWith(fleet.url) && !/^(data|blob):/.test(url))
    expect(foreign).toEqual([])
    await browser.close()
  })
})
