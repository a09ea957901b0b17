type Map = Record<string, unknown>

/** `over` laid on `base`: maps are merged key by key, worlds by their name, anything else is replaced. */
export function layOver(base: Map, over: Map): Map {
  const merged: Map = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const below = base[key]
    if (isMap(below) && isMap(value)) merged[key] = layOver(below, value)
    else if (key === 'worlds' && Array.isArray(below) && Array.isArray(value)) merged[key] = layWorlds(below, value)
    else merged[key] = value
  }
  return merged
}

function layWorlds(below: unknown[], above: unknown[]): unknown[] {
  const names = new Set(above.map(nameOf))
  return [...below.filter((world) => !names.has(nameOf(world))), ...above]
}

function nameOf(world: unknown): unknown {
  return isMap(world) ? world['name'] : undefined
}

function isMap(value: unknown): value is Map {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
