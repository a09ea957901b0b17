/**
 * Returns what a line of runc's log says, or undefined of any other line. Its text is quoted as Go's `%q` does it
 * (logrus, text_formatter.go).
 */
export function messageOfRunc(line: string): string | undefined {
  const quoted = /^time=.* msg="(.*)"\s*$/.exec(line)?.[1]
  return quoted?.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' || escaped === 't' ? ' ' : escaped))
}
