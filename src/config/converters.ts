/**
 * From the value of one option as it was written to the value that the program uses, by the option's row. Pure: it looks at
 * no file. What is wrong is reported, and the value is undefined then.
 */

import { formatListenAddress, type ListenSetting, parseListenAddress } from '../base/listen-address.js';
import { nearestName } from '../base/nearest-name.js';
import { AccessFormat, AccessFormatError, FIELDS } from '../logging/access-format.js';
import { type LogTarget, parseLogTarget } from '../logging/target.js';
import { type AdapterName, type Adapters, adapterNames, type LuaValue } from '../lua/state.js';
import { readDataSources } from './data-sources.js';
import { readDictionaries } from './dictionaries.js';
import { readHttp } from './http-client.js';
import { decodeText, isList, luaLiteral } from './literal.js';
import { isNetwork } from './network.js';
import type { FileDirectories, OptionRow, ValueTypes } from './option.js';
import { readSendfile } from './sendfile.js';
import { readSessions } from './sessions.js';
import { readStatusAddress, readUrlPath } from './status-address.js';

/** Takes note of a fault in `value`; `allowed` and `remedy` replace what the table says. */
export type Report = (value: LuaValue, allowed?: string, remedy?: string) => void;

interface Task<Row extends OptionRow> {
  readonly row: Row;
  readonly value: LuaValue;
  readonly absolute: (name: string) => string;
  readonly report: Report;
}

type NumberRow = Extract<OptionRow, { readonly min: number }>;

/** Strings that read as numbers are numbers, as `lua_isnumber` has it: the C daemon took them. */
function toNumber(value: LuaValue): number | undefined {
  if (typeof value === 'string' && /^\s*[+-]?(0[xX][0-9a-fA-F]+|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)\s*$/.test(value)) {
    const digits = value.trim().replace(/^[+-]/, '');
    return value.trim().startsWith('-') ? -Number(digits) : Number(digits);
  }
  return typeof value === 'number' ? value : undefined;
}

/** And numbers are strings, as `lua_isstring` has it. */
function toBytes(value: LuaValue): string | undefined {
  return typeof value === 'number' ? luaLiteral(value) : typeof value === 'string' ? value : undefined;
}

/** A file name or address: not empty, and text, because Node.js takes names as text. */
function toText(value: LuaValue): string | undefined {
  const bytes = toBytes(value);
  const text = bytes === undefined ? undefined : decodeText(bytes);
  return text === undefined || text === '' || text.includes('\0') ? undefined : text;
}

/** The members of a list; another value is a list of itself. An empty table may come as a record without fields. */
function listOf(value: LuaValue): readonly LuaValue[] {
  if (isList(value)) return value;
  return typeof value === 'object' && Object.keys(value).length === 0 ? [] : [value];
}

/** One text, or a list of texts. Reports each member that is something else. */
function toTexts({ value, report }: Task<OptionRow>): string[] {
  const texts: string[] = [];
  for (const member of listOf(value)) {
    const text = toText(member);
    if (text === undefined) report(member);
    else texts.push(text);
  }
  return texts;
}

function convertNumber({ row, value, report }: Task<NumberRow>): number | undefined {
  const number = toNumber(value);
  if (number === undefined || !Number.isFinite(number)) return void report(value);
  const inUnit = row.type === 'seconds' ? 1000 : 1;
  if (row.special?.value === number) return (row.special.becomes ?? number) * inUnit;
  if (number < row.min || number > row.max || (row.type === 'integer' && !Number.isInteger(number))) {
    return void report(value);
  }
  return row.powerOfTwo ? 2 ** Math.ceil(Math.log2(number)) : number * inUnit;
}

function convertFile({ value, absolute, report }: Task<OptionRow>): string | undefined {
  // An empty name is none, so that `logfile = os.getenv("LOG") or ""` can be written.
  if (value === '') return undefined;
  const name = toText(value);
  return name === undefined ? void report(value) : absolute(name);
}

function convertLogTarget({ value, absolute, report }: Task<OptionRow>): LogTarget | undefined {
  if (value === '') return undefined;
  const name = toText(value);
  if (name === undefined) return void report(value);
  const target = parseLogTarget(name, absolute);
  if (!('reason' in target)) return target;
  return void report(value, `a place for a log, but ${target.reason}`, 'Write "./" before the name of such a file.');
}

function convertAccessFormat({ value, report }: Task<OptionRow>): string | undefined {
  const bytes = toBytes(value);
  const text = bytes === undefined ? undefined : decodeText(bytes);
  if (text === undefined || /[\p{Cc}]/u.test(text)) return void report(value);
  try {
    new AccessFormat(text);
    return text;
  } catch (error) {
    if (!(error instanceof AccessFormatError)) throw error;
    const { message, field } = error;
    const meant = field === undefined ? undefined : nearestName(field, Object.keys(FIELDS));
    const remedy = meant === undefined ? undefined : `Did you mean {${meant}}?`;
    return void report(value, `a format of known fields, but ${message}`, remedy);
  }
}

function convertAddresses(task: Task<OptionRow>): readonly ListenSetting[] {
  const addresses = new Map<string, ListenSetting>();
  const texts = toTexts(task);
  if (listOf(task.value).length === 0) task.report(task.value, 'at least one address');
  for (const text of texts) {
    const address = parseListenAddress(text, task.absolute);
    if ('reason' in address) {
      task.report(text, `an address, but ${address.reason}`, address.remedy);
      continue;
    }
    const name = formatListenAddress(address);
    if (addresses.has(name)) task.report(text, 'listed once', 'Remove one of the two.');
    addresses.set(name, address);
  }
  return [...addresses.values()];
}

function convertNetworks(task: Task<OptionRow>): readonly string[] {
  if (listOf(task.value).length === 0) task.report(task.value, 'at least one address, or nothing for all');
  const texts = toTexts(task);
  for (const text of texts) if (!isNetwork(text)) task.report(text);
  return texts;
}

/** Headers that other options or the scripts decide. */
const RESERVED_HEADERS = new Map([
  ['status', 'Use the option httpstatus.'],
  ['content-type', 'Use the option contenttype.'],
  ['location', 'Only a script can redirect: con:redirect(url).'],
  ['content-length', 'Remove it: each answer has its own length.'],
  ['transfer-encoding', 'Remove it: the web server decides how an answer is sent.'],
]);

/** Other than a tab, and not the bytes of UTF-8 text. */
function hasControlCharacter(bytes: string): boolean {
  return [...bytes].some((c) => (c < ' ' && c !== '\t') || c === '\x7f');
}

function convertHeaders({ value, report }: Task<OptionRow>): string | undefined {
  const bytes = toBytes(value);
  if (bytes === undefined) return void report(value);
  let lines = '';
  for (const line of bytes.split(/\r?\n/)) {
    if (line === '') continue;
    // RFC 9110, 5.1 and 5.5: a token, a colon, and a value without control characters.
    const name = /^([\w!#$%&'*+.^`|~-]+):/.exec(line)?.[1];
    if (name === undefined || hasControlCharacter(line)) {
      report(line, '"Name: value" with a name of letters, digits and "-", and no control characters');
      continue;
    }
    const remedy = RESERVED_HEADERS.get(name.toLowerCase());
    if (remedy !== undefined) report(line, 'a header that every answer can have', remedy);
    lines += `${line}\r\n`;
  }
  return lines;
}

function convertMode({ value, report }: Task<OptionRow>): number | undefined {
  const digits = toBytes(value) ?? '';
  return /^[0-7]{3,4}$/.test(digits) ? Number.parseInt(digits, 8) : void report(value);
}

function convertBoolean({ value, report }: Task<OptionRow>): boolean | undefined {
  return typeof value === 'boolean' ? value : void report(value);
}

/** Whether there is such an account is found out elsewhere (accounts.ts). */
function convertAccount({ value, report }: Task<OptionRow>): string | undefined {
  if (value === '') return undefined;
  const name = toText(value);
  return name !== undefined && /^[\w.][^\s:,/]*$/.test(name) ? name : void report(value);
}

/** None stand for all names. */
function convertExtensions(task: Task<OptionRow>): readonly string[] {
  const texts = toTexts(task);
  if (listOf(task.value).length === 0) task.report(task.value);
  for (const text of texts) {
    if (text === '*' || /^\.[^/;*?]+$/.test(text)) continue;
    if (/^[\w-]+$/.test(text)) task.report(text, undefined, `Write ".${text}".`);
    else task.report(text);
  }
  return texts.includes('*') ? [] : texts;
}

/** By extension with its dot. */
function convertAdapters({ value, report }: Task<OptionRow>): Adapters | undefined {
  const fields = isList(value) && value.length > 0 ? undefined : fieldsOf(value);
  if (fields === undefined) return void report(value);
  const adapters: Record<string, AdapterName> = {};
  for (const [key, member] of fields) {
    const adapter = adapterNames.find((name) => name === member);
    if (/^\.?[\w-]+$/.test(key) && adapter !== undefined) {
      adapters[key.startsWith('.') ? key : `.${key}`] = adapter;
      continue;
    }
    const meant = typeof member === 'string' ? nearestName(member, adapterNames) : undefined;
    report(value, undefined, meant === undefined || adapter !== undefined ? undefined : `Did you mean "${meant}"?`);
  }
  return adapters;
}

/** The fields of a table; undefined for anything else. An empty table may come as a list. */
function fieldsOf(value: LuaValue): readonly (readonly [string, LuaValue])[] | undefined {
  if (isList(value)) return value.map((member, at) => [String(at + 1), member] as const);
  return typeof value === 'object' ? Object.entries(value) : undefined;
}

function convertFiles(task: Task<OptionRow>): FileDirectories | undefined {
  const fields = fieldsOf(task.value);
  if (fields === undefined) return void task.report(task.value);
  const directories = { read: [] as readonly string[], write: [] as readonly string[] };
  for (const [name, value] of fields) {
    if (name === 'read' || name === 'write') directories[name] = toTexts({ ...task, value }).map(task.absolute);
    else task.report(task.value, 'a table with the fields read and write only', `Remove ${name}, or correct its name.`);
  }
  return directories;
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

function convertEnvironment({ value, report }: Task<OptionRow>): ValueTypes['environment'] | undefined {
  const variables: Record<string, string | true> = Object.create(null);
  const fields = fieldsOf(value);
  if (fields === undefined) return void report(value);
  for (const [key, member] of fields) {
    const isMember = /^[0-9]+$/.test(key);
    const name = isMember ? member : key;
    const text = toBytes(member);
    if (typeof name !== 'string' || !VARIABLE.test(name) || text === undefined || text.includes('\0')) report(value);
    else variables[name] = isMember ? true : text;
  }
  return variables;
}

const KEY_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
const LEAST_SECRET_BYTES = 32;

/** Faults name the key and show no secret. */
function convertKeys({ value, report }: Task<OptionRow>): ValueTypes['keys'] | undefined {
  const keys: Record<string, readonly string[]> = Object.create(null);
  const fields = fieldsOf(value);
  if (fields === undefined) return void report(value);
  for (const [name, member] of fields) {
    const secrets = (Array.isArray(member) ? member : [member]).map(toBytes);
    const isGood = (secret: string | undefined): secret is string =>
      secret !== undefined && secret.length >= LEAST_SECRET_BYTES;
    if (!KEY_NAME.test(name) || secrets.length === 0 || !secrets.every(isGood)) report(name);
    else keys[name] = secrets as readonly string[];
  }
  return keys;
}

const MOST_APPLICATION_BYTES = 64 * 1024;
const DEEPEST_APPLICATION = 16;

/** The bytes of a plain value; undefined for one that is none. */
function plainBytes(value: LuaValue, depth = 0): number | undefined {
  if (typeof value === 'string') return value.length;
  if (typeof value === 'number' || typeof value === 'boolean') return 8;
  if (typeof value !== 'object' || depth > DEEPEST_APPLICATION) return undefined;
  let bytes = 0;
  for (const [key, member] of Object.entries(value)) {
    const of = plainBytes(member, depth + 1);
    if (of === undefined) return undefined;
    bytes += key.length + of;
  }
  return bytes;
}

function convertApplication({ value, report }: Task<OptionRow>): LuaValue | undefined {
  const bytes = typeof value === 'object' ? plainBytes(value) : undefined;
  return bytes !== undefined && bytes <= MOST_APPLICATION_BYTES ? value : void report(value);
}

function convertTemplates(task: Task<OptionRow>): readonly string[] {
  const templates = task.value === '' ? [] : toTexts(task).flatMap((text) => text.split(';'));
  return templates.filter((template) => template !== '').map(task.absolute);
}

/** The value for `Config`; undefined when there is none or a fault was reported. */
export function convert(task: Task<OptionRow>): unknown {
  const { row, value, report } = task;
  switch (row.type) {
    case 'integer':
    case 'seconds':
      return convertNumber({ ...task, row });
    case 'text': {
      const bytes = toBytes(value);
      return bytes !== undefined && row.pattern.test(bytes) ? bytes : report(value);
    }
    case 'choice':
      return row.choices.find((choice) => choice === value) ?? report(value);
    case 'boolean':
      return convertBoolean(task);
    case 'header-lines':
      return convertHeaders(task);
    case 'addresses':
      return convertAddresses(task);
    case 'status-address':
      return readStatusAddress(value, toText(value), task.absolute, report);
    case 'url-path':
      return readUrlPath(value, toText(value), report);
    case 'networks':
      return convertNetworks(task);
    case 'mode':
      return convertMode(task);
    case 'source-file':
    case 'pid-file':
      return convertFile(task);
    case 'log-target':
      return convertLogTarget(task);
    case 'access-format':
      return convertAccessFormat(task);
    case 'directories':
    case 'script-files':
      return toTexts(task).map(task.absolute);
    case 'user':
    case 'group':
      return convertAccount(task);
    case 'extensions':
      return convertExtensions(task);
    case 'adapters':
      return convertAdapters(task);
    case 'files':
      return convertFiles(task);
    case 'environment':
      return convertEnvironment(task);
    case 'keys':
      return convertKeys(task);
    case 'application':
      return convertApplication(task);
    case 'sendfile':
      return readSendfile(value, report);
    case 'sessions':
      return readSessions(value, report);
    case 'data-sources':
      return readDataSources(value, task.absolute, report);
    case 'http':
      return readHttp(value, task.absolute, report);
    case 'dictionaries':
      return readDictionaries(value, report);
    case 'templates':
      return convertTemplates(task);
  }
}
