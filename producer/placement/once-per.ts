/** A function that works its answer out once for each object, and forgets it together with that object. */
export function oncePer<K extends WeakKey, V>(derive: (of: K) => V): (of: K) => V {
  const known = new WeakMap<K, { value: V }>()
  return (of) => {
    const found = known.get(of)
    if (found) return found.value
    const value = derive(of)
    known.set(of, { value })
    return value
  }
}
