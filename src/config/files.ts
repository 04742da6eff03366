/** The files and directories that a configuration names: whether they are there, before anything is started. */
import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { toByteString } from '../base/byte-string.js';
import type { ListenSetting } from '../base/listen-address.js';
import type { LogTarget } from '../logging/target.js';
import { type ConfigFault, configFault } from './fault.js';
import { shortLiteral } from './literal.js';
import { type Config, optionNames, options } from './schema.js';

/** What is wrong with a path, and where there is something to say about it, the remedy. */
interface Problem {
  readonly reason: string;
  readonly remedy?: string;
}

/** What is at the path; undefined for nothing, or nothing that may be looked at. */
function look(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Whether this process may do what `mode` says (of `fs.constants`). */
type May = (path: string, mode: number) => boolean;

function mayAccess(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function checkSourceFile(path: string, may: May): Problem | undefined {
  const stats = look(path);
  if (!stats) return { reason: 'there is no such file' };
  if (!stats.isFile()) return { reason: 'this is no regular file' };
  return may(path, constants.R_OK) ? undefined : { reason: 'the file may not be read' };
}

function checkDirectory(path: string): Problem | undefined {
  const stats = look(path);
  if (!stats) return { reason: 'there is no such directory' };
  return stats.isDirectory() ? undefined : { reason: 'this is no directory' };
}

/** Who writes there is the user that the server becomes; this one may be another. */
function checkWritable(path: string): Problem | undefined {
  return path === '/'
    ? { reason: 'everything lies below it', remedy: 'Name the directories that are meant.' }
    : undefined;
}

/** Whether a file can be made at the path. */
function checkParent(path: string, may: May): Problem | undefined {
  const parent = dirname(path);
  const problem = checkDirectory(parent);
  if (problem) return { reason: `there is no directory ${parent}`, remedy: `Create it: mkdir -p ${parent}` };
  return may(parent, constants.W_OK | constants.X_OK)
    ? undefined
    : { reason: `nothing may be created in ${parent}`, remedy: `Let the server's user write to ${parent}.` };
}

function checkLogFile(path: string, may: May): Problem | undefined {
  const stats = look(path);
  if (!stats) return checkParent(path, may);
  if (stats.isDirectory()) return { reason: 'this is a directory', remedy: 'Name a file in it.' };
  return may(path, constants.W_OK) ? undefined : { reason: 'the file may not be written' };
}

function checkSocket(path: string, may: May): Problem | undefined {
  const stats = look(path);
  if (stats && !stats.isSocket()) {
    return { reason: 'a file that is no socket has this name', remedy: 'Remove the file, or name another socket.' };
  }
  return checkParent(path, may);
}

function socketPaths(addresses: readonly ListenSetting[]): readonly string[] {
  return addresses.flatMap((address) => (address.kind === 'unix' ? [address.path] : []));
}

function fileOf(target: LogTarget | undefined): string | undefined {
  return target?.kind === 'file' ? target.path : undefined;
}

/** What need not be created, since it is there. */
export interface AlreadyOpen {
  /** Sockets that are open. */
  readonly open: readonly ListenSetting[];
  /** A server runs already; its logs and its pid file stay. */
  readonly isReload: boolean;
}

/** Every file and directory of the configuration that the server could not use. */
export function checkFiles(config: Config, already: AlreadyOpen, may: May = mayAccess): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  const openPaths = socketPaths(already.open);
  const wantedSockets = socketPaths(config.listen).filter((path) => !openPaths.includes(path));
  for (const option of optionNames) {
    const row = options[option];
    const check = (path: string | undefined, problemOf: (path: string, may: May) => Problem | undefined) => {
      const problem = path === undefined ? undefined : problemOf(path, may);
      if (path === undefined || !problem) return;
      const value = shortLiteral(toByteString(path));
      faults.push(configFault('LUAFCGID_CONFIG_PLACE', { option, value, reason: problem.reason }, problem.remedy));
    };
    if (row.type === 'source-file') check(config[row.key], checkSourceFile);
    else if (row.type === 'script-files') for (const path of config[row.key]) check(path, checkSourceFile);
    else if (row.type === 'log-target') check(already.isReload ? undefined : fileOf(config[row.key]), checkLogFile);
    else if (row.type === 'status-address') {
      const address = already.isReload ? undefined : config[row.key];
      check(address?.kind === 'unix' ? address.path : undefined, checkSocket);
    } else if (row.type === 'pid-file') check(already.isReload ? undefined : config[row.key], checkParent);
    else if (row.type === 'directories') for (const path of config[row.key]) check(path, checkDirectory);
    else if (row.type === 'files') {
      const { read = [], write = [] } = config[row.key] ?? {};
      for (const path of new Set([...read, ...write])) check(path, checkDirectory);
      for (const path of write) check(look(path)?.isDirectory() ? path : undefined, checkWritable);
    } else if (row.type === 'data-sources') {
      for (const { kind, database, passwordFile, tls } of config[row.key] ?? []) {
        check(passwordFile, checkSourceFile);
        check(tls.caFile, checkSourceFile);
        if (kind === 'sqlite' && database !== ':memory:') check(database, checkLogFile);
      }
    } else if (row.type === 'http') check(config[row.key]?.caFile, checkSourceFile);
    else if (row.type === 'addresses') for (const path of wantedSockets) check(path, checkSocket);
  }
  return faults;
}
