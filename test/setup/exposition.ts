export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: Sample[]
}

/**
 * Reads the text format of Prometheus, and is as strict as its conventions: HELP and TYPE precede the samples of a family, a family is contiguous,
 * no series occurs twice, counters end in `_total`, a histogram is complete.
 */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('The last line does not end')
  const families = new Map<string, Family>()
  const helped = new Set<string>()
  const seen = new Set<string>()
  let current: string | undefined
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const help = /^# HELP ([a-zA-Z_:][\w:]*) (\S.*)$/.exec(line)
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram)$/.exec(line)
    if (help) helped.add(help[1] as string)
    else if (type) {
      current = type[1] as string
      if (!helped.has(current) || families.has(current)) throw new Error(`Out of order: ${line}`)
      families.set(current, { type: type[2] as Family['type'], samples: [] })
    } else {
      const sample = parseSample(line)
      const family = current === undefined ? undefined : families.get(current)
      const suffix = family?.type === 'histogram' ? /^(_bucket|_sum|_count)$/ : /^$/
      if (!(family && current && sample.name.startsWith(current) && suffix.test(sample.name.slice(current.length)))) {
        throw new Error(`Not of the family ${current}: ${line}`)
      }
      const series = sample.name + JSON.stringify(Object.entries(sample.labels).sort())
      if (seen.has(series)) throw new Error(`Twice: ${line}`)
      seen.add(series)
      family.samples.push(sample)
    }
  }
  for (const [name, family] of families) checkFamily(name, family)
  return families
}

function parseSample(line: string): Sample {
  const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/i.exec(line)
  if (!found) throw new Error(`No sample: ${line}`)
  const [, name, inside = '', number] = found
  const labels: Record<string, string> = {}
  const label = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y
  while (label.lastIndex < inside.length) {
    const pair = label.exec(inside)
    if (!pair || Object.hasOwn(labels, pair[1] as string)) throw new Error(`No labels: ${line}`)
    labels[pair[1] as string] = (pair[2] as string).replace(/\\(.)/g, (_, each) => (each === 'n' ? '\n' : each))
  }
  return { name: name as string, labels, value: Number((number as string).replace('Inf', 'Infinity')) }
}

function checkFamily(name: string, { type, samples }: Family): void {
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`A ${type} of a wrong name: ${name}`)
  if (type !== 'gauge' && samples.some(({ value }) => !(value >= 0))) throw new Error(`Counts down: ${name}`)
  if (type !== 'histogram') return
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`)
  const count = samples.find((sample) => sample.name === `${name}_count`)?.value
  const rising = buckets.every(({ value }, n) => n === 0 || value >= (buckets[n - 1] as Sample).value)
  const last = buckets.at(-1)
  if (!rising || last?.labels['le'] !== '+Inf' || last.value !== count) throw new Error(`Not whole: ${name}`)
}
