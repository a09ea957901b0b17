import { expect, test } from 'vitest'
import { readClientConfig } from '../../../cli/http/config.ts'

test('the address of the producer has no slash at its end', () => {
  const environment = { PROVOST_URL: 'https://provost.example.com/', PROVOST_API_KEY: 'a-key' }
  expect(readClientConfig(environment)).toEqual({ url: 'https://provost.example.com', key: 'a-key' })
})

test.for([
  [{ PROVOST_URL: 'http://user:s3cret@host:7070' }, 'PROVOST_URL: must have no user and password'],
  [{ PROVOST_URL: 'http://s3cret@host' }, 'PROVOST_URL: must have no user and password'],
  [{ PROVOST_URL: 's3cret' }, 'PROVOST_URL: must be an http:// or https:// address'],
  [{ PROVOST_API_KEY: 's3cret\nkey' }, 'PROVOST_API_KEY: must be visible ASCII characters'],
] as const)('%j is refused, and what is secret in it is not told', ([environment, fault]) => {
  let told = ''
  try {
    readClientConfig({ PROVOST_API_KEY: 'a-key', ...environment })
  } catch (error) {
    told = String(error)
  }
  expect(told).toContain(fault)
  expect(told).not.toContain('s3cret')
})
