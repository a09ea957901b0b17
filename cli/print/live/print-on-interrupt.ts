/** Does work that a person may end by Ctrl-C, which then prints `line`. */
export async function printOnInterrupt<T>(line: string, work: () => Promise<T>): Promise<T> {
  const onInterrupt = () => {
    process.stderr.write(`\n${line}\n`)
    process.exit(130)
  }
  process.once('SIGINT', onInterrupt)
  try {
    return await work()
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}
