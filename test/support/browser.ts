import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'

const program = '/usr/bin/chromium'

/** Why no page can be looked at here, or undefined. */
export function whyNoBrowser(): string | undefined {
  return existsSync(program) ? undefined : `needs ${program}; script/test gets it on Debian as root: apt-get install chromium.`
}

/** Debian's Chromium, without a window. Root may not have its sandbox. */
export async function openBrowser(): Promise<Browser> {
  // Only here, since it takes half a second to load and every start of vitest asks whether there is a browser.
  const { chromium } = await import('playwright-core')
  return chromium.launch({ executablePath: program, args: ['--no-sandbox'] })
}
