/** Data sources as the configuration gives them. Pure. */

export type SourceKind = 'postgres' | 'mysql' | 'sqlite' | 'redis';

/** Whether a connection is encrypted, and whether the server has to prove who it is. */
export interface TlsSettings {
  readonly mode: 'off' | 'verify' | 'unverified';
  /** File of the certificates that are trusted; undefined: those that Node.js trusts. */
  readonly caFile: string | undefined;
  /** The name that the certificate has to be for; undefined: that of the host. */
  readonly serverName: string | undefined;
}

/** One data source. Holds no password: only where it comes from. */
export interface SourceSettings {
  readonly name: string;
  readonly kind: SourceKind;
  /** A name or an address; `''` with a socket, and for SQLite. */
  readonly host: string;
  readonly port: number;
  /** Path of a Unix socket; PostgreSQL: of its directory. */
  readonly socket: string | undefined;
  readonly user: string | undefined;
  /** The database; Redis: its number; SQLite: the file. */
  readonly database: string;
  readonly tls: TlsSettings;
  readonly passwordFile: string | undefined;
  /** The name of an environment variable. */
  readonly passwordVariable: string | undefined;
  readonly connections: number;
  readonly queue: number;
  readonly waitMs: number;
  readonly connectMs: number;
  readonly queryMs: number;
  readonly idleMs: number;
  readonly maxResultBytes: number;
  /** Paths or directories of the scripts that may use it; none: all may. */
  readonly scripts: readonly string[];
}

/** What the I/O thread gets: with the password, where it comes from the environment. */
export interface ResolvedSource extends SourceSettings {
  readonly password: string | undefined;
  /** SQLite: how many of its connections workers have, each one, for short reads (decision 0030). */
  readonly readingWorkers?: number;
}

/** The setting `http`: which servers scripts may send requests to. */
export interface HttpSettings {
  readonly name: 'http';
  readonly kind: 'http';
  /** `NAME:PORT` in small letters; for `NAME` also `*.NAME`, `*`, or an address, IPv6 in brackets. */
  readonly allow: readonly string[];
  /** Networks whose addresses may be connected to although they are not public. */
  readonly networks: readonly string[];
  /** File of certificates that are trusted beside those that Node.js trusts. */
  readonly caFile: string | undefined;
  /** Servers that there are connections to at the same time. */
  readonly servers: number;
  /** Connections to each of them. */
  readonly connections: number;
  readonly queue: number;
  readonly waitMs: number;
  readonly connectMs: number;
  readonly answerMs: number;
  readonly totalMs: number;
  readonly idleMs: number;
  readonly maxBodyBytes: number;
  readonly scripts: readonly string[];
}

/** All that the I/O thread does for scripts. */
export type IoSource = ResolvedSource | HttpSettings;

/** What a configuration names, with the passwords that come from the environment. The HTTP client comes last. */
export function resolveSources(
  {
    data,
    http,
    workers = 0,
  }: { readonly data: readonly SourceSettings[]; readonly http?: HttpSettings | undefined; readonly workers?: number },
  environment: Readonly<Record<string, string | undefined>>,
): IoSource[] {
  const sources = data.map((source): ResolvedSource => {
    const { passwordVariable } = source;
    const password = passwordVariable === undefined ? undefined : environment[passwordVariable];
    return { ...source, password, readingWorkers: readingWorkers(source, workers) };
  });
  return http === undefined ? sources : [...sources, http];
}

/** One connection writes, and one that reads is left to what takes long. */
function readingWorkers({ kind, database, connections }: SourceSettings, workers: number): number {
  if (kind !== 'sqlite' || database === ':memory:') return 0;
  return Math.max(0, Math.min(workers, connections - 2));
}

/** Whether a script may use a source. @param scripts as the source has them @param path the script's own, absolute */
export function mayUse(scripts: readonly string[], path: string): boolean {
  if (scripts.length === 0) return true;
  return scripts.some((granted) => (granted.endsWith('/') ? path.startsWith(granted) : path === granted));
}
