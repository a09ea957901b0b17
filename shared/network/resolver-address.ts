import { isIP } from 'node:net'

/** Whether a jail can ask a resolver: in it the loopback is its own, and so is a scope like that of `fe80::1%em0`. */
export function isReachable(address: string): boolean {
  return isIP(address) !== 0 && !/^(127\.|0\.0\.0\.0$|::1?$|::ffff:127\.)|%/i.test(address)
}
