/**
 * The option `data`: what scripts may use, from URLs and tables to typed settings, with every fault. Pure. No password is in
 * it, and none that somebody has written by mistake comes into a message.
 */

import { nearestName } from '../base/nearest-name.js';
import type { SourceKind, SourceSettings, TlsSettings } from '../io/sources.js';
import type { LuaValue } from '../lua/state.js';
import { isList, luaLiteral, shortLiteral } from './literal.js';

/** Takes note of a fault. */
export type DataReport = (shown: string, allowed: string, remedy: string) => void;

type Field = keyof typeof FIELDS;

/** What a table of a source may have besides its URL, and how its values read. */
const FIELDS = {
  kind: 'text',
  host: 'text',
  port: { min: 1, max: 65_535 },
  socket: 'file',
  user: 'text',
  database: 'text',
  tls: 'text',
  sslmode: 'text',
  ca: 'file',
  tlsname: 'text',
  passwordfile: 'file',
  passwordenv: 'text',
  connections: { min: 1, max: 10_000 },
  queue: { min: 0, max: 1_000_000 },
  waittimeout: { min: 0.01, max: 3600, seconds: true },
  connecttimeout: { min: 0.01, max: 3600, seconds: true },
  querytimeout: { min: 0.01, max: 86_400, seconds: true },
  idletimeout: { min: 1, max: 86_400, seconds: true },
  maxresult: { min: 1024, max: 2 ** 31 },
  scripts: 'texts',
} as const;

/** What a URL may say after its "?". */
const IN_QUERY: readonly Field[] = ['socket', 'tls', 'sslmode', 'ca', 'tlsname'];

const SCHEMES: Readonly<Record<string, { readonly kind: SourceKind; readonly tls?: TlsSettings['mode'] }>> = {
  postgres: { kind: 'postgres' },
  postgresql: { kind: 'postgres' },
  mysql: { kind: 'mysql' },
  mariadb: { kind: 'mysql' },
  sqlite: { kind: 'sqlite' },
  redis: { kind: 'redis', tls: 'off' },
  valkey: { kind: 'redis', tls: 'off' },
  rediss: { kind: 'redis', tls: 'verify' },
  valkeys: { kind: 'redis', tls: 'verify' },
};

const PORTS: Readonly<Record<SourceKind, number>> = { postgres: 5432, mysql: 3306, sqlite: 0, redis: 6379 };
const CONNECTIONS: Readonly<Record<SourceKind, number>> = { postgres: 10, mysql: 10, sqlite: 6, redis: 10 };
/** Redis takes many commands on one connection: they wait for each other for microseconds. */
const QUEUE: Readonly<Record<SourceKind, number>> = { postgres: 100, mysql: 100, sqlite: 100, redis: 1000 };
const QUERY_SECONDS: Readonly<Record<SourceKind, number>> = { postgres: 30, mysql: 30, sqlite: 30, redis: 5 };

const KINDS = 'postgres, mysql, sqlite or redis';
export const DATA_ALLOWED =
  'a table of names and data sources: "postgres://USER@HOST/DATABASE", "mysql://USER@HOST/DATABASE", "sqlite:FILE", ' +
  '"redis://HOST", or { URL, connections = 4 } and further fields';

/** Fields as they were written; undefined for what was not. */
type Written = Partial<Record<Field, LuaValue>>;

/** A URL without what may be a password. */
function masked(text: string): string {
  return text.replace(/(:\/\/[^:/@]*:).*@/s, '$1***@').replace(/((?:password|pass|pwd)=)[^&]*/gi, '$1***');
}

class SourceReader {
  readonly #name: string;
  readonly #report: DataReport;
  readonly #absolute: (file: string) => string;
  #written: Written = {};

  constructor(name: string, absolute: (file: string) => string, report: DataReport) {
    this.#name = name;
    this.#absolute = absolute;
    this.#report = report;
  }

  read(value: LuaValue): SourceSettings | undefined {
    const fields = this.#fields(value);
    if (fields === undefined) return undefined;
    const { kind, tls: schemeTls, written } = fields;
    this.#written = written;
    const socket = this.#file('socket');
    const host = socket === undefined ? (this.#text('host') ?? (kind === 'sqlite' ? '' : 'localhost')) : '';
    const settings: SourceSettings = {
      name: this.#name,
      kind,
      host,
      port: this.#number('port') ?? PORTS[kind],
      socket,
      user: this.#text('user'),
      database: this.#database(kind),
      tls: this.#tls(kind, host, schemeTls),
      passwordFile: this.#file('passwordfile'),
      passwordVariable: this.#passwordVariable(),
      connections: this.#number('connections') ?? CONNECTIONS[kind],
      queue: this.#number('queue') ?? QUEUE[kind],
      waitMs: this.#milliseconds('waittimeout', 5),
      connectMs: this.#milliseconds('connecttimeout', 5),
      queryMs: this.#milliseconds('querytimeout', QUERY_SECONDS[kind]),
      idleMs: this.#milliseconds('idletimeout', 600),
      maxResultBytes: this.#number('maxresult') ?? 8 * 1024 * 1024,
      scripts: this.#scripts(),
    };
    if ((kind === 'postgres' || kind === 'mysql') && settings.user === undefined) {
      this.#fault('', 'with a user', `Write ${kind}://USER@HOST/DATABASE, or add user = "NAME".`);
    }
    return settings;
  }

  #fields(value: LuaValue): { kind: SourceKind; tls: TlsSettings['mode'] | undefined; written: Written } | undefined {
    if (typeof value === 'string') return this.#url(value);
    const entries = isList(value)
      ? value.map((member, at): [string, LuaValue] => [String(at + 1), member])
      : typeof value === 'object' && value !== null
        ? Object.entries(value)
        : undefined;
    if (entries === undefined) return void this.#fault(shortLiteral(value), 'a URL or a table', 'Write a URL.');
    const written: Written = {};
    let url: LuaValue;
    for (const [key, member] of entries) {
      if (key === '1') url = member;
      else if (key in FIELDS) written[key as Field] = member;
      else this.#unknown(key);
    }
    if (url !== undefined && typeof url !== 'string') {
      return void this.#fault(shortLiteral(url), 'a URL or a table that begins with one', 'Write the URL first.');
    }
    const of = url === undefined ? this.#kindOf(written.kind) : this.#url(url);
    return of && { ...of, written: { ...of.written, ...written } };
  }

  #kindOf(kind: LuaValue): { kind: SourceKind; tls: undefined; written: Written } | undefined {
    if (kind === 'postgres' || kind === 'mysql' || kind === 'sqlite' || kind === 'redis') {
      return { kind, tls: undefined, written: {} };
    }
    const shown = kind === undefined ? '' : `kind = ${shortLiteral(kind)}`;
    return void this.#fault(shown, `of a kind that there is: ${KINDS}`, 'Begin the table with a URL, or set kind.');
  }

  #url(text: string): { kind: SourceKind; tls: TlsSettings['mode'] | undefined; written: Written } | undefined {
    const fault = (allowed: string, remedy: string): undefined =>
      void this.#fault(luaLiteral(masked(text)), allowed, remedy);
    const [, scheme = '', rest = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
    const of = SCHEMES[scheme];
    if (of === undefined) {
      const meant = nearestName(scheme, Object.keys(SCHEMES));
      const remedy =
        meant === undefined ? 'Begin with postgres://, mysql://, sqlite: or redis://.' : `Did you mean ${meant}:?`;
      return fault('a URL of a kind that there is', remedy);
    }
    const { kind, tls } = of;
    if (kind === 'sqlite') {
      const file = rest.replace(/^\/\/(?=\/)/, '');
      if (file === '' || file.startsWith('//'))
        return fault('sqlite: and the name of a file', 'Write sqlite:/PATH/FILE.db.');
      return { kind, tls, written: { database: file } };
    }
    const parts =
      /^\/\/(?:([^@/?#]*)@)?(\[[0-9A-Fa-f:.]+\]|[^:/?#[\]@]*)(?::([0-9]{1,5}))?(?:\/([^/?#]*))?(?:\?([^#]*))?$/.exec(
        rest,
      );
    if (parts === null)
      return fault(`like ${scheme}://USER@HOST:PORT/DATABASE`, 'Write "/" and "@" in a part as %2F and %40.');
    const [, account, host = '', port, database, query] = parts;
    const written: Written = {};
    if (account?.includes(':')) {
      return fault(
        'without a password',
        'Write the password into a file that only the server may read, and name it by passwordfile.',
      );
    }
    const set = (field: Field, part: string | undefined): void => {
      if (part === undefined || part === '') return;
      try {
        written[field] = decodeURIComponent(part);
      } catch {
        fault('with a "%" only before two hexadecimal digits', 'Write a "%" of a name as %25.');
      }
    };
    set('user', account);
    set('host', host.replace(/^\[|\]$/g, ''));
    set('port', port);
    set('database', database);
    for (const pair of query?.split('&') ?? []) {
      const [name = '', part = ''] = pair.split(/=(.*)/s);
      if (IN_QUERY.includes(name as Field)) set(name as Field, part);
      else if (/^pass/i.test(name)) return fault('without a password', 'Name a file by passwordfile.');
      else
        return fault(
          `a URL with ${IN_QUERY.join(', ')} after its "?"`,
          `Remove ${name}, or write it as a field of a table.`,
        );
    }
    return { kind, tls, written };
  }

  #unknown(key: string): void {
    if (/^pass(word)?$/.test(key)) {
      this.#fault(
        `${key} = ***`,
        'without a password',
        'Write it into a file that only the server may read, and name it by passwordfile.',
      );
      return;
    }
    const meant = nearestName(key, Object.keys(FIELDS));
    const remedy = meant === undefined ? `Remove ${key}.` : `Did you mean ${meant}?`;
    this.#fault(key, `a table of fields that there are: ${Object.keys(FIELDS).join(', ')}`, remedy);
  }

  #database(kind: SourceKind): string {
    const database = this.#text('database');
    if (kind === 'redis') {
      if (database !== undefined && !/^\d{1,4}$/.test(database)) {
        this.#fault(`database = ${shortLiteral(database)}`, 'the number of a database', 'Write redis://HOST/0.');
      }
      return database ?? '0';
    }
    if (database === undefined) {
      const remedy = kind === 'sqlite' ? 'Write sqlite:/PATH/FILE.db.' : `Write ${kind}://USER@HOST/DATABASE.`;
      this.#fault('', 'with a database', remedy);
      return '';
    }
    return kind === 'sqlite' && database !== ':memory:' ? this.#absolute(database) : database;
  }

  #tls(kind: SourceKind, host: string, ofScheme: TlsSettings['mode'] | undefined): TlsSettings {
    const isNear = host === '' || /^(?:localhost|127\.[0-9.]+|::1)$/.test(host);
    const written = this.#text('tls') ?? this.#sslMode();
    // Elsewhere than on this machine, a server proves who it is, unless somebody has said otherwise.
    let mode = ofScheme ?? (isNear || kind === 'sqlite' ? 'off' : 'verify');
    if (written === 'off' || written === 'verify' || written === 'unverified') mode = written;
    else if (written !== undefined) {
      this.#fault(
        `tls = ${shortLiteral(written)}`,
        '"verify", "unverified" or "off"',
        'Set tls = "verify" if the server has a certificate.',
      );
    }
    return { mode, caFile: this.#file('ca'), serverName: this.#text('tlsname') };
  }

  /** What libpq calls it. Ways that fall back to no encryption in silence are none. */
  #sslMode(): string | undefined {
    const mode = this.#text('sslmode');
    if (mode === undefined) return undefined;
    const meaning = { disable: 'off', require: 'unverified', 'verify-ca': 'verify', 'verify-full': 'verify' }[mode];
    if (meaning !== undefined) return meaning;
    this.#fault(
      `sslmode = ${shortLiteral(mode)}`,
      'disable, require, verify-ca or verify-full',
      'Set sslmode=verify-full.',
    );
    return undefined;
  }

  #passwordVariable(): string {
    const written = this.#text('passwordenv');
    if (written === undefined) return `LUAFCGID_PASSWORD_${this.#name.toUpperCase()}`;
    if (!/^[A-Za-z_]\w*$/.test(written)) {
      this.#fault(
        `passwordenv = ${shortLiteral(written)}`,
        'the name of an environment variable',
        'Write a name like DB_PASSWORD.',
      );
    }
    return written;
  }

  #scripts(): readonly string[] {
    const value = this.#written.scripts;
    if (value === undefined) return [];
    const list = isList(value) ? value : [value];
    return list.flatMap((member) => {
      if (typeof member === 'string' && member.startsWith('/') && !member.includes('\0')) return [member];
      const remedy = 'Write { "/srv/www/shop/" } for all scripts below a directory, or the path of one.';
      this.#fault(`scripts = ${shortLiteral(member)}`, 'absolute paths of scripts or directories', remedy);
      return [];
    });
  }

  #text(field: Field): string | undefined {
    const value = this.#written[field];
    if (value === undefined) return undefined;
    const text = typeof value === 'number' ? String(value) : value;
    if (typeof text === 'string' && text !== '' && !/[\0\r\n]/.test(text)) return text;
    this.#fault(`${field} = ${shortLiteral(value)}`, 'text that is not empty', `Correct or remove ${field}.`);
    return undefined;
  }

  #file(field: Field): string | undefined {
    const name = this.#text(field);
    return name === undefined ? undefined : this.#absolute(name);
  }

  #milliseconds(field: Field, defaultSeconds: number): number {
    return Math.round((this.#number(field) ?? defaultSeconds) * 1000);
  }

  #number(field: Field): number | undefined {
    const value = this.#written[field];
    const bounds = FIELDS[field] as { readonly min: number; readonly max: number; readonly seconds?: true };
    if (value === undefined) return undefined;
    const number = typeof value === 'string' && /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : value;
    const isWhole = bounds.seconds === true || Number.isInteger(number);
    if (typeof number === 'number' && isWhole && number >= bounds.min && number <= bounds.max) return number;
    const noun = bounds.seconds ? 'a number of seconds' : 'a whole number';
    this.#fault(
      `${field} = ${shortLiteral(value)}`,
      `${noun} from ${bounds.min} to ${bounds.max}`,
      `Correct or remove ${field}.`,
    );
    return undefined;
  }

  #fault(what: string, allowed: string, remedy: string): void {
    this.#report(what === '' ? this.#name : `${this.#name}: ${what}`, allowed, remedy);
  }
}

/** @param absolute makes the name of a file absolute */
export function readDataSources(
  value: LuaValue,
  absolute: (file: string) => string,
  report: DataReport,
): readonly SourceSettings[] {
  if (isList(value) ? value.length > 0 : typeof value !== 'object' || value === null) {
    const shown = typeof value === 'string' ? luaLiteral(masked(value)) : 'a list';
    report(shown, DATA_ALLOWED, 'Give each data source the name by which scripts know it: data = { main = "..." }.');
    return [];
  }
  return Object.entries(value as Readonly<Record<string, LuaValue>>).flatMap(([name, source]) => {
    if (!/^[A-Za-z_]\w{0,63}$/.test(name)) {
      report(shortLiteral(name), 'a table whose names are letters and digits', 'Give the data source another name.');
      return [];
    }
    return new SourceReader(name, absolute, report).read(source) ?? [];
  });
}
