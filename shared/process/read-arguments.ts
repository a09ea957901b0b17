import { type ParseArgsConfig, parseArgs } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>

/** Reads a service's command line. `--help` prints `usage` and exits with 0, wrong use prints it and exits with 2. */
export function readArguments<O extends Options>(usage: string, options: O) {
  const end = (status: number, text: string): never => {
    ;(status === 0 ? process.stdout : process.stderr).write(`${text}\n`)
    process.exit(status)
  }
  if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) end(0, usage)
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return end(2, `${error instanceof Error ? error.message : error}\n${usage}`)
  }
}
