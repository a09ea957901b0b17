import { type ParseArgsConfig, parseArgs } from 'node:util'
import { version } from './version.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** Reads a service's command line. `--help` prints `usage`, `--version` the version, both with 0; wrong use exits with 2. */
export function readArguments<O extends Options>(usage: string, options: O) {
  const end = (status: number, text: string): never => {
    ;(status === 0 ? process.stdout : process.stderr).write(`${text}\n`)
    process.exit(status)
  }
  if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) end(0, usage)
  if (process.argv.slice(2).includes('--version')) end(0, version)
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return end(2, `${error instanceof Error ? error.message : error}\n${usage}`)
  }
}
