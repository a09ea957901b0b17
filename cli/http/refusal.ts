import { z } from 'zod'

/** RFC 9457, as the producer answers. Only `detail` is asked for, since a proxy between may answer in its own way. */
const Problem = z.object({
  code: z.string().optional(),
  detail: z.string(),
  hint: z.string().optional(),
  /** `line` and `row`: where in a batch's file. */
  errors: z
    .array(z.object({ line: z.int().optional(), row: z.int().optional(), field: z.string(), message: z.string() }))
    .optional(),
  /** How many errors there are beyond those named. */
  more: z.int().optional(),
})
export type Problem = z.infer<typeof Problem>

/** The producer's no. `text` is the body as it came. */
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

/** Nothing answered, though it was asked more than once. */
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
