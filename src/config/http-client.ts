/** The option `http`: which servers scripts may send requests to, from a table to typed settings, with every fault. Pure. */
import { isIPv4, isIPv6 } from 'node:net';
import { nearestName } from '../base/nearest-name.js';
import type { HttpSettings } from '../io/sources.js';
import type { LuaValue } from '../lua/state.js';
import { isList, shortLiteral } from './literal.js';
import { isNetwork } from './network.js';

/** Takes note of a fault. */
type Report = (shown: string, allowed: string, remedy: string) => void;

const NUMBERS = {
  servers: { min: 1, max: 10_000, value: 50 },
  connections: { min: 1, max: 10_000, value: 10 },
  queue: { min: 0, max: 1_000_000, value: 100 },
  waittimeout: { min: 0.01, max: 3600, value: 5, isSeconds: true },
  connecttimeout: { min: 0.01, max: 3600, value: 5, isSeconds: true },
  answertimeout: { min: 0.01, max: 86_400, value: 30, isSeconds: true },
  timeout: { min: 0.01, max: 86_400, value: 60, isSeconds: true },
  idletimeout: { min: 0.01, max: 86_400, value: 4, isSeconds: true },
  maxbody: { min: 0, max: 2 ** 31, value: 8 * 1024 * 1024 },
} as const satisfies Record<string, { min: number; max: number; value: number; isSeconds?: true }>;

type NumberField = keyof typeof NUMBERS;

const FIELDS = ['allow', 'private', 'ca', 'scripts', ...Object.keys(NUMBERS)];

export const HTTP_ALLOWED = 'a table with allow = { "api.example.com:443" } and further fields';

/** A table's fields; a list has none with a name. */
function fieldsOf(value: LuaValue): readonly (readonly [string, LuaValue])[] | undefined {
  if (isList(value)) return value.map((member, at) => [String(at + 1), member] as const);
  return typeof value === 'object' ? Object.entries(value) : undefined;
}

/** `NAME:PORT` as the I/O thread compares it; undefined when it is none. */
function serverOf(text: string): string | undefined {
  const [, host = '', digits = ''] =
    /^(\*|(?:\*\.)?[^\s:/?#@[\]\\*]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host === '' || port < 1 || port > 65_535) return undefined;
  if (host === '*') return `*:${port}`;
  const stars = host.startsWith('*.') ? '*.' : '';
  try {
    // As URLs have it: small letters, other scripts as Punycode, addresses in their usual form.
    const { hostname } = new URL(`http://${host.slice(stars.length)}`);
    const isAddress = isIPv4(hostname) || isIPv6(hostname.replace(/^\[|\]$/g, ''));
    return stars !== '' && isAddress ? undefined : `${stars}${hostname.replace(/\.$/, '')}:${port}`;
  } catch {
    return undefined;
  }
}

class HttpReader {
  readonly #fields: ReadonlyMap<string, LuaValue>;
  readonly #report: Report;
  readonly #absolute: (file: string) => string;

  constructor(fields: ReadonlyMap<string, LuaValue>, absolute: (file: string) => string, report: Report) {
    this.#fields = fields;
    this.#absolute = absolute;
    this.#report = report;
  }

  read(): HttpSettings {
    for (const name of this.#fields.keys()) {
      if (FIELDS.includes(name)) continue;
      const meant = nearestName(name, FIELDS);
      const remedy = meant === undefined ? `Remove ${name}.` : `Did you mean ${meant}?`;
      this.#report(name, `a table of fields that there are: ${FIELDS.join(', ')}`, remedy);
    }
    return {
      name: 'http',
      kind: 'http',
      allow: this.#allow(),
      networks: this.#texts('private', isNetwork, 'IP addresses or networks', 'Write { "10.0.0.0/8" }.'),
      caFile: this.#ca(),
      servers: this.#number('servers'),
      connections: this.#number('connections'),
      queue: this.#number('queue'),
      waitMs: this.#number('waittimeout'),
      connectMs: this.#number('connecttimeout'),
      answerMs: this.#number('answertimeout'),
      totalMs: this.#number('timeout'),
      idleMs: this.#number('idletimeout'),
      maxBodyBytes: this.#number('maxbody'),
      scripts: this.#texts(
        'scripts',
        (text) => text.startsWith('/'),
        'absolute paths of scripts or directories',
        'Write { "/srv/www/shop/" } for all scripts below a directory, or the path of one.',
      ),
    };
  }

  #allow(): readonly string[] {
    const remedy = 'Write { "api.example.com:443" }, { "*.example.com:443" }, or { "*:443" } for all public servers.';
    const written = this.#texts(
      'allow',
      (text) => serverOf(text) !== undefined,
      'names of servers with their ports',
      remedy,
    );
    return written.map((text) => serverOf(text) as string);
  }

  #ca(): string | undefined {
    const value = this.#fields.get('ca');
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value !== '' && !value.includes('\0')) return this.#absolute(value);
    this.#report(`ca = ${shortLiteral(value)}`, 'the name of a file', 'Correct or remove ca.');
    return undefined;
  }

  #texts(name: string, isRight: (text: string) => boolean, allowed: string, remedy: string): readonly string[] {
    const value = this.#fields.get(name);
    if (value === undefined) return [];
    const list = isList(value) ? value : [value];
    return list.filter((member): member is string => {
      if (typeof member === 'string' && !/[\0\r\n]/.test(member) && isRight(member)) return true;
      this.#report(`${name} = ${shortLiteral(member)}`, allowed, remedy);
      return false;
    });
  }

  /** In milliseconds where the field is in seconds. */
  #number(name: NumberField): number {
    const { min, max, value: otherwise, ...more } = NUMBERS[name];
    const isSeconds = 'isSeconds' in more;
    const value = this.#fields.get(name);
    const number = value === undefined ? otherwise : value;
    const isRight =
      typeof number === 'number' && (isSeconds || Number.isInteger(number)) && number >= min && number <= max;
    if (isRight) return isSeconds ? Math.round(number * 1000) : number;
    const noun = isSeconds ? 'a number of seconds' : 'a whole number';
    this.#report(`${name} = ${shortLiteral(value)}`, `${noun} from ${min} to ${max}`, `Correct or remove ${name}.`);
    return otherwise;
  }
}

/** @returns undefined when no server is allowed @param absolute makes the name of a file absolute */
export function readHttp(
  value: LuaValue,
  absolute: (file: string) => string,
  report: Report,
): HttpSettings | undefined {
  const fields = fieldsOf(value);
  if (fields === undefined) {
    report(shortLiteral(value), HTTP_ALLOWED, 'Write http = { allow = { "api.example.com:443" } }.');
    return undefined;
  }
  const settings = new HttpReader(new Map(fields), absolute, report).read();
  return settings.allow.length === 0 ? undefined : settings;
}
