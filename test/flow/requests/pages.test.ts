import { expect } from 'vitest'
import { test } from '../../support/fleets/fleet-test.ts'
import { startTestProducer } from '../../support/fleets/test-producer.ts'
import { test as redisTest } from '../../support/redis/redis-test.ts'

const html = { accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' }

test('a browser finds its way from /, and a program is told that there is nothing', async ({ fleet }) => {
  const page = await fetch(`${fleet.url}/`, { headers: html })
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
  const text = await page.text()
  expect(text).toContain('<title>Provost</title>')
  const hrefs = [...text.matchAll(/href="([^"]*)"/g)].map(([, href = '']) => href)
  for (const href of hrefs) {
    expect(href).not.toMatch(/^([a-z]+:)?\//)
    const { status } = await fleet.call('GET', `/${href}`)
    expect([href, status]).toEqual([href, 200])
  }
  expect((await fetch(`${fleet.url}/`)).status).toBe(404)
})

test('the reference has a title and nothing from other sites, and its examples a host', async ({ fleet }) => {
  const page = await fetch(`${fleet.url}/docs/`)
  const text = await page.text()
  expect(text).toContain('<title>Provost: every call</title>')
  expect(text).toContain('"withDefaultFonts": false')
  expect(text).not.toMatch(/(src|href)="https?:/)
  // A browser loads nothing from elsewhere, whatever a later version of the page asks for.
  expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'self'; /)
  expect((await fleet.call('GET', '/openapi.json')).body.servers).toEqual([{ url: fleet.url }])
  const behindProxy = await fleet.call('GET', '/openapi.json', undefined, { 'x-forwarded-proto': 'https' })
  expect(behindProxy.body.servers).toEqual([{ url: fleet.url.replace('http:', 'https:') }])
})

redisTest('the reference calls a producer below a path where people reach it', async ({ redis }) => {
  const producer = await startTestProducer(redis, undefined, { publicUrl: 'https://jails.example.org/ops/provost/' })
  const document = (await (await fetch(`${producer.url}/openapi.json`)).json()) as { servers: unknown }
  await producer.stop()
  expect(document.servers).toEqual([{ url: 'https://jails.example.org/ops/provost' }])
})
