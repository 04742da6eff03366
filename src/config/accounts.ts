/** Users and groups of the system, by name or number: who the server becomes, and who its sockets belong to. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { toByteString } from '../base/byte-string.js';
import { type ConfigFault, configFault } from './fault.js';
import { shortLiteral } from './literal.js';
import { type Config, optionNames, options } from './schema.js';

export interface User {
  /** Undefined for a number that no account has. */
  readonly name: string | undefined;
  readonly uid: number;
  /** Of the account's own group. */
  readonly gid: number | undefined;
}

/** Who the server becomes when it has opened what it needs. What is undefined stays as it is. */
export interface Identity {
  readonly user: User | undefined;
  readonly gid: number | undefined;
}

/** -1 would stand for "unchanged". */
const LARGEST_ID = 0xffff_fffe;

function idOf(text: string): number | undefined {
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id <= LARGEST_ID ? id : undefined;
}

/**
 * The fields of an account's line: from the file, and where other sources of accounts exist (LDAP and the like), from
 * the command that knows them all.
 */
function entry(database: 'passwd' | 'group', key: string): readonly string[] | undefined {
  const isEntry = (fields: readonly string[]): boolean => fields[0] === key || fields[2] === key;
  const lines = (text: string): string[][] => text.split('\n').map((line) => line.split(':'));
  try {
    const found = lines(readFileSync(`/etc/${database}`, 'utf8')).find(isEntry);
    if (found !== undefined) return found;
  } catch {
    // Systems that keep accounts elsewhere.
  }
  // Loaded only here: it takes milliseconds of every start.
  const { spawnSync } = createRequire(import.meta.url)('node:child_process') as typeof import('node:child_process');
  const { stdout } = spawnSync('getent', [database, key], { encoding: 'utf8' });
  return lines(stdout ?? '').find(isEntry);
}

/** A user by name or number; a number needs no account. Undefined when there is none. */
export function findUser(text: string): User | undefined {
  const fields = entry('passwd', text);
  if (fields?.[2] !== undefined) return { name: fields[0], uid: Number(fields[2]), gid: Number(fields[3]) };
  const uid = idOf(text);
  return uid === undefined ? undefined : { name: undefined, uid, gid: undefined };
}

/** The number of a group by its name or number. */
export function findGroup(text: string): number | undefined {
  const fields = entry('group', text);
  return fields?.[2] !== undefined ? Number(fields[2]) : idOf(text);
}

/** Every user and group of the configuration that the system does not know. */
export function checkAccounts(config: Config): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  for (const option of optionNames) {
    const row = options[option];
    if (row.type !== 'user' && row.type !== 'group') continue;
    const name = config[row.key];
    if (name === undefined || (row.type === 'user' ? findUser(name) : findGroup(name)) !== undefined) continue;
    const remedy = `Create the ${row.type}, correct its name, or write its number.`;
    const reason = `there is no such ${row.type}`;
    faults.push(
      configFault('LUAFCGID_CONFIG_PLACE', { option, value: shortLiteral(toByteString(name)), reason }, remedy),
    );
  }
  const user = config.user === undefined ? undefined : findUser(config.user);
  if (user !== undefined && user.gid === undefined && config.group === undefined) {
    const reason = 'no account has this number, so its group is unknown';
    const value = shortLiteral(toByteString(config.user ?? ''));
    faults.push(configFault('LUAFCGID_CONFIG_PLACE', { option: 'user', value, reason }, 'Set group as well.'));
  }
  return faults;
}

/** Who the configuration wants the server to be; its names were checked. */
export function identityOf(config: Config): Identity {
  const user = config.user === undefined ? undefined : findUser(config.user);
  return { user, gid: config.group === undefined ? user?.gid : findGroup(config.group) };
}

/** Owner and group of the Unix sockets; -1 for what stays as it is. */
export function socketOwnerOf(config: Config): { readonly uid: number; readonly gid: number } | undefined {
  const { socketOwner, socketGroup } = config;
  if (socketOwner === undefined && socketGroup === undefined) return undefined;
  return {
    uid: (socketOwner === undefined ? undefined : findUser(socketOwner)?.uid) ?? UNCHANGED,
    gid: (socketGroup === undefined ? undefined : findGroup(socketGroup)) ?? UNCHANGED,
  };
}

/** To chown(2). */
const UNCHANGED = -1;
