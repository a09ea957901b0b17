import { expect, test } from 'vitest'
import { ownUrl, readPublicUrl } from '../../../producer/http/public-url.ts'

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
