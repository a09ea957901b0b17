import { z } from 'zod'
import { FaultCauses, RowFault } from '#shared/batch.ts'

/** A problem (RFC 9457) as the producer sends it. Only `detail` is required: a proxy may answer instead. */
const Problem = z.object({
  code: z.string().optional(),
  detail: z.string(),
  hint: z.string().optional(),
  /** `line` and `row` are places in a batch's file. */
  errors: z.array(RowFault.partial({ line: true })).optional(),
  /** The number of errors beyond those in `errors`. */
  more: z.int().optional(),
  causes: FaultCauses.optional(),
})
export type Problem = z.infer<typeof Problem>

/** The producer refused a request. `text` is the body of its answer. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly text: string
  readonly problem: Problem

  constructor(status: number, text: string) {
    const problem = readProblem(status, text)
    super(problem.detail)
    this.status = status
    this.text = text
    this.problem = problem
  }
}

/** The producer did not answer, or broke off its answer. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

function readProblem(status: number, text: string): Problem {
  try {
    return Problem.parse(JSON.parse(text))
  } catch {
    return {
      detail: `The server answered ${status} and not with a problem of Provost: ${text.slice(0, 200).trim() || '(nothing)'}`,
    }
  }
}
