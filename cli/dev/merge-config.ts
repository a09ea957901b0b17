type Map = Record<string, unknown>

/** Returns `base` with `overrides`: maps are merged by key, worlds by name, anything else is replaced. */
export function mergeConfig(base: Map, overrides: Map): Map {
  const merged: Map = { ...base }
  for (const [key, value] of Object.entries(overrides)) {
    const old = base[key]
    if (isMap(old) && isMap(value)) merged[key] = mergeConfig(old, value)
    else if (key === 'worlds' && Array.isArray(old) && Array.isArray(value)) merged[key] = mergeWorlds(old, value)
    else merged[key] = value
  }
  return merged
}

function mergeWorlds(base: unknown[], overrides: unknown[]): unknown[] {
  const names = new Set(overrides.map(nameOf))
  return [...base.filter((world) => !names.has(nameOf(world))), ...overrides]
}

function nameOf(world: unknown): unknown {
  return isMap(world) ? world['name'] : undefined
}

function isMap(value: unknown): value is Map {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
