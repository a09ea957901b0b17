import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ask, judgeCase, type Said } from './judge-case.ts'
import { folders, readCases } from './read-cases.ts'

const isJudged = process.platform === 'freebsd' && process.getuid?.() === 0
/** What stands for the verbs of README.md. The world is of rescue(8); pwd.db has no hashes of passwords. */
const verbs = `
world() { mkdir -p "$1/bin" "$1/dev" "$1/etc" && cp -f /etc/pwd.db "$1/etc" && cp -f /rescue/sh "$1/bin/sh" && cp -f /rescue/sleep "$1/bin/sleep"; }
leave() { jexec "$@" >/dev/null 2>&1 & }
busy() { (cd "$1" && exec sleep 600) >/dev/null 2>&1 & echo $! >"$R/busy"; }
idle() { kill "$(cat "$R/busy")"; while kill -0 "$(cat "$R/busy")" 2>/dev/null; do sleep 0.1; done; }
`

/** What a case leaves that was answered otherwise: there were no jails before. rm(1) -x goes through no mount. */
const cleared = 'for jail in $(jls jid); do jail -R "$jail"; done; umount "$R"/*/dev "$R"/t; rm -rfx "$R"'

/**
 * Asks the real programs of this host all cases but those that are not for one. Each has a directory of its own, the interface is an
 * epair(4) that is made for it, and sysrc(8) writes into a file of its own (RC_CONFS). A dataset is what the first argument names.
 */
async function proveOnHost(dataset: string | undefined): Promise<number> {
  if (sh('jls -d jid', {}).stdout.trim() !== '') throw new Error('This host has jails; the cases are for one without.')
  const mountpoint = dataset && sh(`zfs get -H -o value mountpoint ${dataset}`, {}).stdout.trim()
  const own = sh('ifconfig epair create', {}).stdout.trim()
  let differing = 0
  try {
    for (const each of folders.flatMap(readCases).filter(({ notOnHost }) => !notOnHost)) {
      const needsZfs = each.steps.some(({ command }) => /\$[ZM]\b/.test(command))
      if (needsZfs && !dataset) continue
      const directory = mkdtempSync(join(tmpdir(), 'provost-double-'))
      const places = { ...(dataset ? { M: mountpoint ?? '', Z: dataset } : {}), R: directory, I: own }
      writeFileSync(join(directory, 'rc.conf'), '')
      const { seen, answered } = await judgeCase(each, places, askHost(places))
      sh(cleared, places)
      if (seen === answered) continue
      differing += 1
      console.log(`\n## ${each.file}: ${each.title}\n--- seen\n${seen}\n--- answered here\n${answered}`)
    }
  } finally {
    sh(`ifconfig ${own} destroy`, {})
  }
  return differing
}

const askHost =
  (places: Record<string, string>): Ask =>
  async (line) =>
    sh(line, places)

function sh(line: string, places: Record<string, string>): Said {
  const env = {
    PATH: '/sbin:/bin:/usr/sbin:/usr/bin',
    LC_ALL: 'C',
    ...places,
    RC_CONFS: join(places['R'] ?? '/nonexistent', 'rc.conf'),
  }
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', `${verbs}${line}`], { encoding: 'utf8', env })
  return { exitCode: status ?? 1, stdout, stderr }
}

if (!isJudged) throw new Error('This asks the real programs of FreeBSD, as root.')
const differing = await proveOnHost(process.argv[2])
console.log(differing === 0 ? 'All cases are answered as they were seen.' : `${differing} cases are answered otherwise.`)
process.exitCode = differing === 0 ? 0 : 1
