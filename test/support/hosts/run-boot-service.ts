import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TrialFreebsd } from './trial-freebsd.ts'

const programs = /\/usr\/s?bin\/(jail|jls|rctl)\b/g

/**
 * Really runs the service that a worker has put into a simulated host's rc.d, as rc(8) does, with the host's rc.conf and the doubles of
 * its programs. Returns what it printed.
 */
export async function runBootService(trial: TrialFreebsd, verb: 'start' | 'stop'): Promise<string> {
  const place = mkdtempSync(join(trial.directory, 'boot-'))
  const server = await trial.serve(place)
  const settings = [...trial.kernel.rcConf].map(([name, value]) => `${name}='${value}'`)
  const stub = `load_rc_config() { ${[':', ...settings].join('; ')}; }
startmsg() { echo "$@"; }
run_rc_command() { case $provost_jails_enable in YES) eval "\\$\${1}_cmd" ;; esac; }
`
  writeFileSync(join(place, 'rc.subr'), stub)
  const script = readFileSync(join(trial.directory, 'usr/local/etc/rc.d/provost_jails'), 'utf8')
  writeFileSync(
    join(place, 'service'),
    script.replace('/etc/rc.subr', join(place, 'rc.subr')).replaceAll(programs, (_, name) => join(place, name)),
  )
  try {
    return await output('/bin/sh', [join(place, 'service'), verb])
  } finally {
    server.close()
    rmSync(place, { recursive: true })
  }
}

function output(program: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const child = spawn(program, args, { env: { PATH: '/bin:/usr/bin' }, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (piece) => {
        text += piece
      })
    child.once('error', reject)
    child.once('close', () => resolve(text))
  })
}
