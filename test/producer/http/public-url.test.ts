import { expect, test } from 'vitest'
import { ownUrl, readPublicUrl } from '../../../producer/http/public-url.ts'
import { buildIdleApp } from '../../support/fleets/openapi.ts'

test.each([
  [undefined, '/v1/jails', '/v1/jails'],
  ['https://ops.example.com', '/v1/jails', '/v1/jails'],
  ['https://ops.example.com/provost/', '/provost/v1/jails?limit=1', '/v1/jails?limit=1'],
  ['https://ops.example.com/provost', '/v1/jails', '/v1/jails'],
  ['https://ops.example.com/provost', '/provost', '/'],
  ['https://ops.example.com/provost', '/provost?a=b', '/?a=b'],
  ['https://ops.example.com/provost', '/provosts', '/provosts'],
  ['https://ops.example.com/v1', '/v1/v1/jails', '/v1/jails'],
])('of a producer at %s, %s is its own %s', (publicUrl, url, own) => {
  expect(ownUrl(url, readPublicUrl(publicUrl))).toBe(own)
})

test.each([
  [undefined, ''],
  ['https://ops.example.com/provost', '/provost'],
])('a producer at %s has %s before the paths in its hints', async (publicUrl, path) => {
  const app = await buildIdleApp(publicUrl)
  const hintAt = async (url: string, cookie = '') => (await app.inject({ url, headers: { cookie } })).json().hint
  expect(await hintAt('/v1/nothing')).toBe(`${path}/openapi.json lists every call.`)
  expect(await hintAt('/v1/jails', `provost_session=1.${'a'.repeat(43)}`)).toBe(`Log in again at ${path}/login.`)
  await app.close()
})
