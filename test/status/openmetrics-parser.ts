/**
 * A strict parser of OpenMetrics 1.0 text, written from the specification and for tests alone. It accepts what the
 * specification's grammar and its rules of meaning allow, and throws at everything else.
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  readonly help: string | undefined;
  readonly samples: readonly Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL_NAME = '[a-zA-Z_][a-zA-Z0-9_]*';
const LABEL = new RegExp(`^(${LABEL_NAME})="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"`);
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|\+Inf|-Inf|NaN)$/;
/** What may follow the name of a family in the names of its samples. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total', '_created'],
  gauge: [''],
  histogram: ['_bucket', '_count', '_sum', '_created'],
  info: ['_info'],
  unknown: [''],
};

interface OpenFamily {
  readonly name: string;
  type: string;
  unit: string;
  help: string | undefined;
  readonly samples: Sample[];
}

export function parseOpenMetrics(text: string): Map<string, Family> {
  if (!text.endsWith('# EOF\n')) throw new Error('the text does not end with "# EOF" and a line feed');
  const families = new Map<string, OpenFamily>();
  const seen = new Set<string>();
  let current: OpenFamily | undefined;
  const open = (name: string): OpenFamily => {
    if (current?.name === name) return current;
    if (families.has(name)) throw new Error(`the family ${name} comes twice`);
    current = { name, type: 'unknown', unit: '', help: undefined, samples: [] };
    families.set(name, current);
    return current;
  };
  const lines = text.slice(0, -'# EOF\n'.length).split('\n');
  if (lines.pop() !== '') throw new Error('the last line before "# EOF" has no end');
  for (const line of lines) {
    if (line === '' || /[\r\t]/.test(line)) throw new Error(`no line of this format: ${JSON.stringify(line)}`);
    const meta = new RegExp(`^# (TYPE|UNIT|HELP) (${NAME}) (.*)$`).exec(line);
    if (meta !== null) {
      const [, kind, name = '', value = ''] = meta;
      const family = open(name);
      if (family.samples.length > 0) throw new Error(`${line}: its samples have come already`);
      if (kind === 'TYPE') {
        if (!(value in SUFFIXES)) throw new Error(`${line}: no type`);
        family.type = value;
      } else if (kind === 'UNIT') {
        if (!name.endsWith(`_${value}`)) throw new Error(`${line}: the name does not end with the unit`);
        family.unit = value;
      } else {
        if (/\\(?![\\n"])/.test(value)) throw new Error(`${line}: a bad escape`);
        family.help = value;
      }
      continue;
    }
    const sample = parseSample(line);
    if (current === undefined || !belongs(sample.name, current)) throw new Error(`${line}: of no family`);
    const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(key)) throw new Error(`${line}: comes twice`);
    seen.add(key);
    current.samples.push(sample);
  }
  for (const family of families.values()) check(family);
  for (const name of families.keys()) {
    for (const other of families.values()) {
      for (const suffix of SUFFIXES[other.type] ?? []) {
        if (suffix !== '' && name === other.name + suffix) throw new Error(`${name} clashes with ${other.name}`);
      }
    }
  }
  return families;
}

function belongs(name: string, { name: family, type }: OpenFamily): boolean {
  return (SUFFIXES[type] ?? []).some((suffix) => name === family + suffix);
}

function parseSample(line: string): Sample {
  const name = new RegExp(`^${NAME}`).exec(line)?.[0];
  if (name === undefined) throw new Error(`${line}: no name of a metric`);
  let rest = line.slice(name.length);
  const labels: Record<string, string> = {};
  if (rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const match = LABEL.exec(rest);
      if (match === null) throw new Error(`${line}: bad labels at ${rest}`);
      const [whole, label = '', value = ''] = match;
      if (label in labels) throw new Error(`${line}: the label ${label} comes twice`);
      if (label.startsWith('__')) throw new Error(`${line}: the label ${label} is reserved`);
      labels[label] = value.replace(/\\(.)/g, (_, sign: string) => (sign === 'n' ? '\n' : sign));
      rest = rest.slice(whole.length);
      if (rest.startsWith(',')) rest = rest.slice(1);
      else if (!rest.startsWith('}')) throw new Error(`${line}: bad labels at ${rest}`);
    }
    rest = rest.slice(1);
  }
  if (!rest.startsWith(' ')) throw new Error(`${line}: no space before the value`);
  const value = rest.slice(1);
  if (!NUMBER.test(value)) throw new Error(`${line}: no number`);
  return { name, labels, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) };
}

function check(family: OpenFamily): void {
  const { name, type, samples } = family;
  for (const { value, name: sample } of samples) {
    const isCount = type === 'counter' || type === 'histogram';
    if (isCount && !(value >= 0)) throw new Error(`${sample}: ${value} is no count`);
    if (type === 'info' && value !== 1) throw new Error(`${sample}: must be 1`);
  }
  if (type === 'histogram') checkHistogram(name, samples);
}

/** Each series has cumulative buckets in the order of their limits, +Inf last, which equals the count. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const series = new Map<string, Sample[]>();
  for (const sample of samples) {
    const { le: _, ...labels } = sample.labels;
    const key = JSON.stringify(Object.entries(labels).sort());
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  for (const [key, own] of series) {
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`);
    const limits = buckets.map(({ labels: { le = '' } }) => {
      if (!NUMBER.test(le)) throw new Error(`${name}${key}: le="${le}" is no number`);
      return le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
    });
    if (limits.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name}${key}: +Inf is not the last bucket`);
    for (let at = 1; at < buckets.length; at += 1) {
      if (!((limits[at] ?? 0) > (limits[at - 1] ?? 0))) throw new Error(`${name}${key}: limits do not rise`);
      if ((buckets[at]?.value ?? 0) < (buckets[at - 1]?.value ?? 0)) throw new Error(`${name}${key}: counts fall`);
    }
    const count = own.find((sample) => sample.name === `${name}_count`)?.value;
    const sum = own.find((sample) => sample.name === `${name}_sum`)?.value;
    if (count !== buckets.at(-1)?.value) throw new Error(`${name}${key}: _count is not that of +Inf`);
    if (sum === undefined) throw new Error(`${name}${key}: there is no _sum`);
  }
}
