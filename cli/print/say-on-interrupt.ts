/** Does something that a person may end by Ctrl-C, which then says what goes on all the same. */
export async function sayOnInterrupt<T>(line: string, watch: () => Promise<T>): Promise<T> {
  const onInterrupt = () => {
    process.stderr.write(`\n${line}\n`)
    process.exit(130)
  }
  process.once('SIGINT', onInterrupt)
  try {
    return await watch()
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}
