/** Reads the setting `sessions`: where sessions are kept, for how long, and what their cookie is like. */

import { nearestName } from '../base/nearest-name.js';
import type { LuaValue } from '../lua/state.js';
import { LEAST_BYTES, MOST_BYTES } from '../shared/layout.js';
import { isList, shortLiteral } from './literal.js';
import type { SessionSettings } from './option.js';

export const SESSION_DEFAULTS: SessionSettings = {
  store: 'memory',
  idle: 7200,
  absolute: 86_400,
  name: 'session',
  maxsize: 64 * 1024,
  size: 16 * 1024 * 1024,
  path: '/',
  samesite: 'Lax',
};

export const SESSIONS_ALLOWED =
  '"memory", the name of a data source, or a table of store, idle, absolute, name, maxsize, size, path, domain, samesite and secure';

type Check = (value: LuaValue) => boolean;

const within =
  (min: number, max: number): Check =>
  (value) =>
    typeof value === 'number' && value >= min && value <= max;
const matches =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value);

const YEAR_SECONDS = 366 * 86_400;

/** What each field may be, in words too. */
const FIELDS: Readonly<Record<keyof SessionSettings, readonly [check: Check, allowed: string]>> = {
  store: [matches(/^[A-Za-z_]\w{0,63}$/), '"memory" or the name of a data source'],
  idle: [within(1, YEAR_SECONDS), 'a number of seconds from 1 to 31622400'],
  absolute: [within(1, YEAR_SECONDS), 'a number of seconds from 1 to 31622400'],
  name: [matches(/^[\w-]{1,64}$/), 'letters, digits, "-" and "_"'],
  maxsize: [
    (value) => within(256, 2 ** 20)(value) && Number.isInteger(value),
    'a whole number of bytes from 256 to 1048576',
  ],
  size: [
    (value) => within(LEAST_BYTES, MOST_BYTES)(value) && Number.isInteger(value),
    `a whole number of bytes from ${LEAST_BYTES} to ${MOST_BYTES}`,
  ],
  path: [matches(/^\/[\x21-\x3a\x3c-\x7e]*$/), 'a path that begins with "/"'],
  domain: [matches(/^[\w.-]+$/), 'the name of a host'],
  samesite: [(value) => value === 'Lax' || value === 'Strict', '"Lax" or "Strict"'],
  secure: [(value) => typeof value === 'boolean', 'true or false'],
};

/** @param report takes note of a fault: what is wrong, what is allowed, what to do */
export function readSessions(
  value: LuaValue,
  report: (value: LuaValue, allowed?: string, remedy?: string) => void,
): SessionSettings | undefined {
  const written = typeof value === 'string' ? { store: value } : value;
  if (typeof written !== 'object' || (isList(written) && written.length > 0)) return void report(value);
  let isRight = true;
  const settings: Record<string, LuaValue> = { ...SESSION_DEFAULTS };
  for (const [name, member] of Object.entries(written)) {
    const field = Object.hasOwn(FIELDS, name) ? FIELDS[name as keyof SessionSettings] : undefined;
    if (field?.[0](member) === true) {
      settings[name] = member;
      continue;
    }
    isRight = false;
    const meant = field === undefined ? nearestName(name, Object.keys(FIELDS)) : undefined;
    const remedy = meant === undefined ? `Correct or remove ${name}.` : `Did you mean ${meant}?`;
    report(`${name} = ${shortLiteral(member)}`, field?.[1] ?? SESSIONS_ALLOWED, remedy);
  }
  return isRight ? (settings as unknown as SessionSettings) : undefined;
}
