/** Which settings a reload cannot change. */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/load.js';

/** What is done once at start, with rights or in a process that there are not any more; by the names in the configuration. */
const AT_START = {
  io: 'io',
  socketmode: 'socketMode',
  socketowner: 'socketOwner',
  socketgroup: 'socketGroup',
  user: 'user',
  group: 'group',
  daemonize: 'daemonize',
  pidfile: 'pidFile',
  logfile: 'logFile',
  loglevel: 'logLevel',
  logformat: 'logFormat',
  accesslog: 'accessLog',
  accessformat: 'accessFormat',
  slowlog: 'slowLog',
  status: 'status',
} as const satisfies Readonly<Record<string, keyof Config>>;

/** @returns `next` as far as it can take the place of `now`, and the names of what is kept as it is */
export function withoutRestart(now: Config, next: Config): { config: Config; kept: readonly string[] } {
  const kept = Object.entries(AT_START).filter(([, key]) => !isDeepStrictEqual(now[key], next[key]));
  const config = { ...next, ...Object.fromEntries(kept.map(([, key]) => [key, now[key]])) };
  return { config: Object.freeze(config), kept: kept.map(([name]) => name) };
}
