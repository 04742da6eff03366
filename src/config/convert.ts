/** From a configuration of luafcgid2 (another server, whose settings have other names) to one of this server. */

import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { toByteString, toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { type LuaEngine, LuaError, type LuaValue } from '../lua/state.js';
import { luaLiteral } from './literal.js';

const MEMORY_BYTES = 64 << 20;

type Values = Readonly<Record<string, LuaValue>>;

/** Settings that are the same under another name. */
const RENAMED: readonly (readonly [theirs: string, ours: string])[] = [
  ['Listen', 'listen'],
  ['listen', 'listen'],
  ['WorkerThreads', 'workers'],
  ['LuaMaxStates', 'clones'],
  ['MinFileInfoTime', 'sweep'],
  ['MaxPostSize', 'maxpost'],
  ['DefaultHttpStatus', 'httpstatus'],
  ['DefaultContentType', 'contenttype'],
  ['LogFilePath', 'logfile'],
];

/** Settings without a meaning here, and why. */
const WITHOUT_MEANING: Readonly<Record<string, string>> = {
  LuaStates: 'states are made when they are needed',
  LuaMaxSearchRetries: 'a request waits for a state',
  HeadersSize: 'buffers grow by themselves',
  BodySize: 'buffers grow by themselves',
  BodySectors: 'buffers grow by themselves',
  UseFileChecksum: 'a file that has changed is always noticed',
  SessionKeyLen: 'numbers of sessions have 256 bits',
  SessionTargetScore: 'a session belongs to who has its cookie, wherever that comes from',
  SessionIpScore: 'see SessionTargetScore',
  SessionUserAgentScore: 'see SessionTargetScore',
  SessionLanguageScore: 'see SessionTargetScore',
};

/**
 * Runs a configuration of luafcgid2 and gives the text of one that says the same here.
 * @throws LuafcgidError when it cannot be read or is no such configuration
 */
export function convertLuafcgid2(file: string, engine: LuaEngine): string {
  const { values, functions } = readGlobals(file, engine);
  const known = new Set(['Config', 'StartupScript', 'DefaultHeaders', 'Entrypoint', 'entrypoint']);
  const lines = [
    '-- What luafcgid2 was told, for this server. Scripts run by the adapter luafcgid2.',
    'handler = "luafcgid2"',
  ];
  const set = (name: string, value: LuaValue): void => void lines.push(`${name} = ${luaLiteral(value)}`);
  for (const [theirs, ours] of RENAMED) {
    known.add(theirs);
    const value = values[theirs];
    if (value !== undefined && !(theirs === 'listen' && values.Listen !== undefined)) set(ours, value);
  }
  const headers = text(values.DefaultHeaders).trimEnd();
  if (headers !== '') set('headers', headers);
  if (text(values.StartupScript) !== '') set('preload', values.StartupScript);
  const session = sessionOf(values, known);
  if (Object.keys(session).length > 1) set('sessions', session);
  const app = appOf(values);
  if (Object.keys(app).length > 0) set('app', app);
  const rest = [...Object.keys(values), ...functions].filter((name) => !known.has(name)).sort();
  if (rest.length > 0) lines.push('', '-- Not taken over:');
  for (const name of rest) {
    lines.push(`--   ${toText(name)}: ${WITHOUT_MEANING[name] ?? 'it is no setting of luafcgid2'}`);
  }
  return `${lines.join('\n')}\n`;
}

function text(value: LuaValue): string {
  return typeof value === 'string' ? value : '';
}

/** Notes in `known` what it takes over. */
function sessionOf(values: Values, known: Set<string>): Record<string, LuaValue> {
  const session: Record<string, LuaValue> = { store: 'memory' };
  for (const [theirs, ours] of [
    ['SessionName', 'name'],
    ['SessionTime', 'idle'],
    ['SessionCookieSecure', 'secure'],
  ] as const) {
    known.add(theirs);
    if (values[theirs] !== undefined) session[ours] = values[theirs];
  }
  known.add('SessionCookieHttpOnly');
  known.add('SessionCookieSameSite');
  const sameSite = text(values.SessionCookieSameSite);
  if (sameSite === 'Strict' || sameSite === 'Lax') session.samesite = sameSite;
  return session;
}

/** `Config`, which scripts read, and the name of the function that answers where it is not `main`. */
function appOf({ Config: config, Entrypoint, entrypoint }: Values): Record<string, LuaValue> {
  const app = typeof config === 'object' && !Array.isArray(config) ? { ...(config as Values) } : {};
  const name = text(Entrypoint) || text(entrypoint);
  delete app.entrypoint;
  return name === '' || name === 'main' ? app : { ...app, entrypoint: name };
}

function readGlobals(file: string, engine: LuaEngine): { values: Values; functions: readonly string[] } {
  const failed = (reason: string, cause?: unknown) =>
    new LuafcgidError('LUAFCGID_CONVERT_FILE', { file, reason }, cause);
  let source: Uint8Array;
  try {
    source = readFileSync(file);
  } catch (error) {
    throw failed((error as Error).message, error);
  }
  const state = engine.createState({
    host: { log() {}, readSource: () => undefined },
    memoryBytes: MEMORY_BYTES,
    directory: toByteString(dirname(file)),
    path: [],
    config: {},
    givesGlobals: true,
  });
  try {
    state.run(source, `@${toByteString(file)}`);
    return state.globals();
  } catch (error) {
    if (error instanceof LuaError) throw failed(toText(error.message), error);
    throw error;
  } finally {
    state.close();
  }
}
