/**
 * The stages of `make buildworld` by their titles, and the share of each in its time, in percent: estimates, with the
 * compiler in cross tools and its libraries in building libraries. The stages' numbers are no use: 4.3 is building everything
 * in older releases, part of the libraries (4.3.1) in newer ones, and making dependencies in those before 11.
 */
const buildStages = [
  ['legacy release compatibility', 1],
  ['bootstrap tools', 4],
  ['cleaning up the object tree', 0],
  ['rebuilding the object tree', 0],
  ['build tools', 2],
  ['cross tools', 28],
  ['recording', 0],
  ['building includes', 2],
  ['building libraries', 33],
  ['make dependencies', 0],
  ['building everything', 20],
  ['building lib32', 10],
] as const

const installStages = [
  ['Install check world started', 3],
  ['Making hierarchy', 7],
  ['Installing everything started', 90],
] as const

export const makeTargets = ['buildworld', 'installworld', 'distrib-dirs', 'distribution'] as const
export type MakeTarget = (typeof makeTargets)[number]

/** How long each target takes in proportion to the others: a build takes hours, an installation minutes, the rest seconds. */
const targetShares: Record<MakeTarget, number> = { buildworld: 950, installworld: 45, 'distrib-dirs': 2, distribution: 3 }
const stagesOf: Partial<Record<MakeTarget, readonly (readonly [title: string, share: number])[]>> = {
  buildworld: buildStages,
  installworld: installStages,
}

/**
 * Returns what follows the `>>>` lines of Makefile.inc1 through targets that are made one after the other. A stage counts when
 * the next begins, so a stage that this release does not have adds nothing.
 */
export function sourceProgress(targets: readonly MakeTarget[], progress: (fraction: number) => void) {
  const whole = targets.reduce((sum, target) => sum + targetShares[target], 0)
  let made = 0
  let furthest = 0

  function show(fraction: number): void {
    furthest = Math.max(furthest, fraction)
    progress(furthest)
  }

  return {
    /** Returns what reads the output of make(1) for one target. `stage` returns the last that began; `end` notes its end. */
    target(name: MakeTarget) {
      const stages = stagesOf[name] ?? []
      const begun = new Set<string>()
      let stage: string | undefined
      return {
        read(text: string): void {
          // With -j, make(1) puts lines of other jobs between these, never inside one.
          for (const [, title = ''] of text.matchAll(/>>> (.*)/g)) {
            const current = stages.find(([part]) => title.includes(part))?.[0]
            if (!current) continue
            stage = title
            const before = stages.reduce((sum, [part, share]) => sum + (begun.has(part) && part !== current ? share : 0), 0)
            begun.add(current)
            show((made + (targetShares[name] * before) / 100) / whole)
          }
        },
        end(): void {
          made += targetShares[name]
          show(made / whole)
        },
        stage: () => stage,
      }
    },
  }
}
