/** Returns a function that derives a value once for each object, and forgets it together with that object. */
export function memoize<K extends WeakKey, V>(derive: (of: K) => V): (of: K) => V {
  const known = new WeakMap<K, { value: V }>()
  return (of) => {
    const entry = known.get(of)
    if (entry) return entry.value
    const value = derive(of)
    known.set(of, { value })
    return value
  }
}
