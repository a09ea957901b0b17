import { readdirSync, readFileSync } from 'node:fs'
import { type ProcessRecord, recordProcess } from './process-record.ts'

/**
 * Finds the processes with `file` as their configuration, by argument or environment, whoever started them: a killed
 * `provost dev` may not have recorded them, and a person may have started a killed worker again.
 */
export function findProcesses(name: string, file: string): ProcessRecord[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid && usesFile(entry, file))
    .flatMap((entry) => {
      try {
        return [recordProcess(name, Number(entry))]
      } catch {
        return []
      }
    })
}

function usesFile(pid: string, file: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    if (!/(^|\/)node$/.test(words[0] ?? '') || !words.some((word) => /(^|\/)(worker|producer)\/main\.ts$/.test(word)))
      return false
    const settings = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    const variables = ['PROVOST_CONFIG', 'PROVOST_PRODUCER_CONFIG'].map((variable) => `${variable}=${file}`)
    return words.some((word) => word === file || word === `--config=${file}`) || variables.some((text) => settings.includes(text))
  } catch {
    // It ended meanwhile.
    return false
  }
}
