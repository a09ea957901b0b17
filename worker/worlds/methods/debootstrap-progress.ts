/**
 * debootstrap's phases in their order, and the share of each in its time, in percent (measured with minbase). The share of a
 * phase with a poor count reaches to the next phase: between DOWNPKGS and DOWNDEBS it works out the packages.
 */
const shares = {
  DOWNREL: 1,
  DOWNRELSIG: 1,
  DOWNPKGS: 4,
  SIZEDEBS: 26,
  DOWNDEBS: 27,
  EXTRACTPKGS: 10,
  INSTCORE: 5,
  UNPACKREQ: 16,
  CONFREQ: 6,
  UNPACKBASE: 2,
  CONFBASE: 2,
}
type Phase = keyof typeof shares

const isPhase = (name: string): name is Phase => name in shares

/** A fault, by debootstrap's own name for it. */
export type Fault = { name: string; message: string }

/**
 * Returns what reads the output of `debootstrap --debian-installer` on its descriptor 3: `P: NOW END [PHASE]` in bytes or
 * packages, and `E: NAME` with `EA:` arguments and `EF:` the format of the message.
 */
export function debootstrapProgress(progress: (fraction: number) => void) {
  let phase: Phase | undefined
  let furthest = 0
  let fault: (Fault & { args: string[] }) | undefined

  function readProgress(line: string): void {
    const [, now = '', end = '', name = ''] = line.split(' ')
    if (isPhase(name)) phase = name
    if (!phase) return
    const inPhase = Number(end) > 0 ? Math.min(1, Number(now) / Number(end)) : 0
    // Inside one download debootstrap counts from the first byte of all; the number is right only at the end of each.
    furthest = Math.max(furthest, (before(phase) + shares[phase] * inPhase) / 100)
    progress(furthest)
  }

  function readLine(line: string): void {
    if (line.startsWith('P: ')) readProgress(line)
    else if (line.startsWith('E: ')) fault = { name: line.slice(3), message: line.slice(3), args: [] }
    else if (line.startsWith('EA: ')) fault?.args.push(line.slice(4))
    else if (line.startsWith('EF: ') && fault) fault.message = format(line.slice(4), fault.args)
  }

  return {
    read(text: string): void {
      for (const line of text.split('\n')) readLine(line)
    },
    fault: (): Fault | undefined => fault && { name: fault.name, message: fault.message },
  }
}

function before(phase: Phase): number {
  const phases = Object.keys(shares).filter(isPhase)
  return phases.slice(0, phases.indexOf(phase)).reduce((sum, name) => sum + shares[name], 0)
}

function format(text: string, args: string[]): string {
  let next = 0
  return text.replaceAll('%s', () => args[next++] ?? '')
}
