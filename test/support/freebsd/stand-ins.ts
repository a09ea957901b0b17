import { chmodSync, readlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { CommandOptions, CommandResult } from '../../../worker/host/run-command.ts'

/** Answers for a program that was really started. */
export type Answerer = (program: string, args: string[], options: CommandOptions) => Promise<CommandResult>

/** Executable files in the place of FreeBSD's programs; each asks over a socket what to print and how to exit. */
export async function standIns(directory: string, programs: string[], answer: Answerer): Promise<Server> {
  const socket = join(directory, 'socket')
  for (const program of programs) {
    const path = join(directory, program)
    writeFileSync(path, textOf(socket, program))
    chmodSync(path, 0o755)
  }
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    let text = ''
    connection.on('error', () => undefined)
    connection.on('data', (piece) => {
      text += piece
    })
    connection.on('end', async () => {
      const { argv, pid } = JSON.parse(text)
      const [program, ...args] = argv
      const outputFile = outputOf(pid)
      const result = await answer(program, args, outputFile ? { outputFile } : {}).catch((error) => ({
        exitCode: 70,
        stdout: '',
        stderr: `${error}\n`,
      }))
      connection.end(JSON.stringify(result))
    })
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  return server
}

/** In CommonJS, which starts soonest. */
function textOf(socket: string, program: string): string {
  return `#!${process.execPath}
const { connect } = require('node:net')
let text = ''
connect(${JSON.stringify(socket)})
  .on('data', (piece) => { text += piece })
  .on('end', () => {
    const { exitCode, stdout, stderr } = JSON.parse(text)
    process.stdout.write(stdout)
    process.stderr.write(stderr)
    process.exitCode = exitCode
  })
  .end(JSON.stringify({ argv: [${JSON.stringify(program)}, ...process.argv.slice(2)], pid: process.pid }))
`
}

/** Where the program's output goes, if that is a file with a name: what it leaves running writes there too. */
function outputOf(pid: number): string | undefined {
  try {
    const path = readlinkSync(`/proc/${pid}/fd/1`)
    return path.startsWith('/') && !path.endsWith(' (deleted)') ? path : undefined
  } catch {
    return undefined
  }
}
