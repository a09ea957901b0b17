/** Something that waits until it is opened, and never again after that. */
export function makeGate() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { wait: () => promise, open: () => resolve() }
}
