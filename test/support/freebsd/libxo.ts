type Leaf = string | number | boolean
type Value = Leaf | Leaf[] | Container | Container[]
type Container = { [key: string]: Value }

/** JSON with the blanks of libxo(3): none behind a leaf's colon, one behind that of a list or a container and before both, and its version has one. */
export function libxo(value: Container): string {
  const members = Object.entries(value).map(([key, each], i) => {
    if (key === '__version') return `"${key}": ${JSON.stringify(each)}`
    if (typeof each !== 'object') return `${i === 0 ? '' : ','}"${key}":${JSON.stringify(each)}`
    return `${i === 0 ? '' : ', '}"${key}": ${Array.isArray(each) ? listed(each) : libxo(each)}`
  })
  return `{${members.join('')}}`
}

function listed(items: Leaf[] | Container[]): string {
  const isOfLeaves = items.every((item) => typeof item !== 'object')
  const texts = items.map((item) => (typeof item === 'object' ? libxo(item) : JSON.stringify(item)))
  return `[${texts.join(isOfLeaves ? ',' : ', ')}]`
}
