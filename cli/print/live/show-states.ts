import { createLogUpdate } from 'log-update'
import { repeat } from '#shared/process/repeat.ts'

/** How a changing state is shown. */
export type Look<State> = {
  /** The whole state, for a terminal. */
  lines(state: State, now: number): string[]
  /** The lines to add to a log since the last printed state `before`; none for a change that does not matter there. */
  changes(before: State | undefined, state: State): string[]
}

const redrawMs = 100

/** Shows states as they come, live on a terminal and as plain lines elsewhere. Returns the last one. */
export async function showStates<State>(
  states: AsyncIterable<State>,
  look: Look<State>,
  output: NodeJS.WriteStream = process.stdout,
): Promise<State> {
  const view = canRedraw(output) ? liveView(look, output) : plainView(look, output)
  let last: State | undefined
  try {
    for await (const state of states) {
      last = state
      view.show(state)
    }
  } finally {
    view.end()
  }
  if (last === undefined) throw new Error('There is nothing to show.')
  return last
}

/** Whether the output is a terminal of known size: on one of 0 lines, as some programs make, nothing would show. */
export function canRedraw(output: NodeJS.WriteStream): boolean {
  return output.isTTY && output.columns > 0 && output.rows > 0
}

type View<State> = { show(state: State): void; end(): void }

function plainView<State>(look: Look<State>, output: NodeJS.WritableStream): View<State> {
  let before: State | undefined
  return {
    show: (state) => {
      const lines = look.changes(before, state)
      if (lines.length === 0) return
      before = state
      output.write(`${lines.join('\n')}\n`)
    },
    end: () => {},
  }
}

function liveView<State>(look: Look<State>, output: NodeJS.WriteStream): View<State> {
  let current: State | undefined
  const picture = makePicture(output, (now) => (current === undefined ? [] : look.lines(current, now)))
  return {
    show: (state) => {
      current = state
      picture.draw()
    },
    end: picture.end,
  }
}

/** Draws lines in place of the last ones, also periodically, since they contain the elapsed time. */
export function makePicture(output: NodeJS.WriteStream, lines: (now: number) => string[]) {
  const update = createLogUpdate(output)
  const draw = () => {
    const now = lines(Date.now())
    if (now.length > 0) update(now.join('\n'))
  }
  const drawing = repeat('draw', redrawMs, async () => draw())
  return {
    draw,
    end(): void {
      void drawing.stop()
      draw()
      update.done()
    },
  }
}
