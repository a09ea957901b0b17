import { expect, test } from 'vitest'
import { messageOfRunc } from '../../../../worker/host/linux/jail/runc-message.ts'

test.each([
  // As runc 1.1 and 1.3 write it.
  [
    String.raw`time="2026-11-30T16:17:23Z" level=error msg="exec failed: unable to start container process: exec: \"/no/such\": stat /no/such: no such file or directory"`,
    'exec failed: unable to start container process: exec: "/no/such": stat /no/such: no such file or directory',
  ],
  [String.raw`time="2026-11-30T16:17:23Z" level=error msg="a \\n, and\na line"`, String.raw`a \n, and a line`],
  ['the command itself says msg="no"', undefined],
])("what a line of runc's log says", (line, message) => {
  expect(messageOfRunc(line)).toBe(message)
})
