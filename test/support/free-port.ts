import { randomInt } from 'node:crypto'
import { findFreePort } from '../../cli/dev/processes/free-port.ts'

/**
 * A free port on 127.0.0.1 that the kernel gives to no outgoing connection: a server that is killed must find it free again.
 * Looked for from a random place, since test files run at the same time.
 */
export const freePort = (): Promise<number> => findFreePort(randomInt(2 ** 32))
