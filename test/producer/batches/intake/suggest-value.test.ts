import { expect, test } from 'vitest'
import { suggestValue } from '../../../../producer/batches/intake/suggest-value.ts'

test.each([
  ['client', 'Acme GmbH', 'acme-gmbh'],
  ['client', 'Größe & Söhne', 'groesse-and-soehne'],
  ['client', 'Acme.Corp', 'acme.corp'],
  ['client', '日本', undefined],
  ['name', 'Web-1', 'web_1'],
  ['name', '1web', undefined],
  ['hostname', 'Web 1.example.com', 'web-1.example.com'],
  ['world', 'Debian 12', 'debian-12'],
  ['limits.memory', '512 MB', '512M'],
  ['limits.disk', '1.5g', '1536M'],
  ['limits.memory', '0,5G', '512M'],
  ['limits.memory', '1,500M', undefined],
  ['limits.memory', 'much', undefined],
  ['limits.cpu', '1,024', '1.024 or 1024'],
  ['limits.processes', '1.000', '1000'],
  ['labels', 'zone', undefined],
])('instead of the %s %s it suggests %s', (field, value, suggestion) => {
  expect(suggestValue(field, value)).toBe(suggestion)
})
