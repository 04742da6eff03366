/** Finds a running server by what an operator names: its configuration, its pid file, or the address of its status socket. */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { LuafcgidError } from '../base/errors.js';
import { parseStatusAddress, type StatusAddress } from '../base/status-address.js';
import { version } from '../base/version.js';
import { type Config, loadConfig } from '../config/load.js';
import { createEngine, prepareEngine } from '../lua/engine.js';
import { isRunning, processOf } from '../process/pid-file.js';

/** Where the packaged configuration has the status socket. */
const USUAL_SOCKET = '/run/luafcgid/status.sock';
const MOST_PID_BYTES = 64;

/** What is known of a running server. */
export interface FoundServer {
  /** Its status socket. */
  readonly address: StatusAddress | undefined;
  /** Its process, as far as a pid file names it. */
  readonly pid: number | undefined;
  /** What was named, for messages. */
  readonly name: string;
}

/**
 * @param where undefined: config.lua here, or else what the environment has as `status`, or else the usual socket
 * @throws LuafcgidError `LUAFCGID_CONTROL_NOT_FOUND`, ConfigError
 */
export function findServer(where: string | undefined): FoundServer {
  if (where === undefined) {
    if (statSync('config.lua', { throwIfNoEntry: false }) !== undefined) return byConfig(undefined);
    const { LUAFCGID_STATUS: named = '' } = process.env;
    if (named !== '') return findServer(named);
    return { address: { kind: 'unix', path: USUAL_SOCKET }, pid: undefined, name: USUAL_SOCKET };
  }
  if (/^[0-9]{1,10}$/.test(where)) return byProcess(Number(where), where);
  const stats = statSync(where, { throwIfNoEntry: false });
  if (stats?.isSocket()) return { address: { kind: 'unix', path: resolve(where) }, pid: undefined, name: where };
  if (stats?.isFile()) return stats.size <= MOST_PID_BYTES ? byShortFile(where) : byConfig(where);
  const url = /^http:\/\/([^/]+)\/?$/.exec(where)?.[1] ?? where;
  const address = parseStatusAddress(url, (name) => resolve(name));
  if ('reason' in address || (stats === undefined && address.kind === 'unix')) {
    const reason = 'reason' in address ? address.reason : 'there is no such file';
    throw new LuafcgidError('LUAFCGID_CONTROL_NOT_FOUND', { where, reason });
  }
  return { address, pid: undefined, name: where };
}

/** A file of a few characters: a pid file, or a very short configuration. */
function byShortFile(file: string): FoundServer {
  const text = readFileSync(file, 'latin1');
  if (!/^\s*\d+\s*$/.test(text)) return byConfig(file);
  return byProcess(Number(text), file);
}

function byProcess(pid: number, where: string): FoundServer {
  if (!isRunning(pid)) {
    throw new LuafcgidError('LUAFCGID_CONTROL_NOT_FOUND', { where, reason: `process ${pid} does not run` });
  }
  return { address: statusOfProcess(pid), pid, name: where };
}

function byConfig(file: string | undefined): FoundServer {
  const config = readConfig(file);
  const pid = config.pidFile === undefined ? undefined : processOf(config.pidFile);
  return { address: config.status, pid, name: file ?? 'config.lua' };
}

function readConfig(file: string | undefined): Config {
  const loaded = loadConfig(file, {}, createEngine(prepareEngine(version)), { isOfOther: true, log: () => {} });
  loaded.hooks.close();
  return loaded.config;
}

/** A server has its configuration in its title, see `process/title.ts`. */
function statusOfProcess(pid: number): StatusAddress | undefined {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replace(/\0+$/, '').split(/[\0 ]/);
    const file = words.find((word) => word.startsWith('/') && word.endsWith('.lua'));
    if (file === undefined || !isTrusted(file)) return undefined;
    return readConfig(file).status;
  } catch {
    // Another user's process, or one that is gone: the signal tells.
    return undefined;
  }
}

/** A title may name any file: that of another user is not run here. */
function isTrusted(file: string): boolean {
  const { uid } = statSync(file);
  return uid === 0 || uid === process.geteuid?.();
}
