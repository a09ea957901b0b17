import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Answer, type Kernel, notKnown, type Program } from './kernel.ts'
import { standIns } from './stand-ins.ts'

/** sh(1) with a script of the host: really run, with a stand-in in place of the ifconfig(8) that it names. */
export function shellProgram(kernel: Kernel, directory: string): Program {
  return async ([script = '', ...args]) => {
    if (!script.endsWith('.sh')) return notKnown(`sh ${script}`)
    const place = mkdtempSync(join(directory, 'sh-'))
    const copy = join(place, 'script')
    const server = await standIns(place, ['ifconfig'], (program, argv) => kernel.host(program, argv))
    writeFileSync(copy, readFileSync(script, 'utf8').replaceAll('/sbin/ifconfig', join(place, 'ifconfig')))
    try {
      return await runScript(copy, args)
    } finally {
      server.close()
    }
  }
}

function runScript(script: string, args: string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const said = { stdout: '', stderr: '' }
    // exec.clean leaves no more than this, also for what runs on the host.
    const env = { PATH: '/bin:/usr/bin' }
    const child = spawn('/bin/sh', [script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const output of ['stdout', 'stderr'] as const) {
      child[output].on('data', (piece) => {
        said[output] += piece
      })
    }
    child.once('error', reject)
    child.once('close', (code) => resolve({ exitCode: code ?? 1, ...said }))
  })
}
