/**
 * What the tests of the Lua engines share: one engine, states with a fake host, and requests that record what they are
 * told. The files directly in this folder run once for each engine (scripts/test.mjs), which LUAFCGID_TEST_ENGINE names.
 */

import assert from 'node:assert/strict';
import type { RoleName } from '../../src/base/roles.js';
import { createEngine, prepareEngine } from '../../src/lua/engine.js';
import {
  type ByteString,
  type EngineName,
  engineNames,
  type Finished,
  type LogLevel,
  LuaError,
  type LuaState,
  type RequestHost,
  type StateOptions,
} from '../../src/lua/state.js';

const wanted = process.env.LUAFCGID_TEST_ENGINE ?? 'embedded';

/** The engine that is tested. */
export const engineName: EngineName =
  engineNames.find((name) => name === wanted) ??
  (() => {
    throw new Error(`LUAFCGID_TEST_ENGINE=${wanted}: there is no such engine`);
  })();

export const engine = createEngine(prepareEngine('2.0.0', engineName));

export const isEmbedded = engineName === 'embedded';
export const isLua54 = engineName === 'lua5.4';
export const isJit = engineName === 'luajit';
/** Lua 5.1 itself, embedded or not: the texts of its messages are those of no other version. */
export const isPlain51 = isEmbedded || engineName === 'lua5.1';

/** Lua source that gives Lua 5.4 the functions of Lua 5.1 that tests use; one line, without an end. */
export const compatible = isLua54 ? 'loadstring = load unpack = table.unpack package.loaders = package.searchers ' : '';

/** How stack traces name a global function: only Lua 5.4 finds its name. */
export function inGlobal(name: string, line: number): string {
  return isLua54 ? `in function '${name}'` : `in function </srv/script.lua:${line}>`;
}

/** The end of a source, as messages tell it. */
export const endOfSource = isLua54 ? '<eof>' : "'<eof>'";

/** All 256 byte values, in order. */
export const allBytes: ByteString = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('latin1');

export interface LogLine {
  readonly level: LogLevel;
  readonly text: ByteString;
}

export interface TestState {
  readonly state: LuaState;
  readonly log: LogLine[];
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** Runs Lua source as `/srv/script.lua`. */
  run(source: ByteString): void;
  /** The value of a Lua expression, as text. */
  evaluate(expression: ByteString): ByteString;
}

/** A new state; `files` are what `readSource` finds. */
export function newState(options: Partial<StateOptions> = {}, files: Readonly<Record<string, string>> = {}): TestState {
  const log: LogLine[] = [];
  const asked: string[] = [];
  const state = engine.createState({
    host: {
      log: (level, text) => log.push({ level, text }),
      readSource(path) {
        asked.push(path);
        const text = files[path];
        return text === undefined ? undefined : Buffer.from(text, 'latin1');
      },
    },
    memoryBytes: 64 << 20,
    directory: '/srv',
    path: [],
    config: {},
    ...options,
  });
  const run = (source: ByteString) => state.run(Buffer.from(source, 'latin1'), '@/srv/script.lua');
  return {
    state,
    log,
    asked,
    run,
    evaluate(expression) {
      run(`function evaluate(env, con) con:puts(tostring((${expression}))) end`);
      return serve(state, 'evaluate').body;
    },
  };
}

export interface Recorded extends RequestHost {
  body: ByteString;
  /** Everything but body bytes, in order, e.g. `header X-A: 1` or `flush`. */
  readonly calls: string[];
}

/** FastCGI name-value pairs. */
export function encodeParams(params: readonly (readonly [ByteString, ByteString])[]): Uint8Array {
  const length = (bytes: number) =>
    bytes < 128 ? [bytes] : [(bytes >>> 24) | 0x80, (bytes >>> 16) & 255, (bytes >>> 8) & 255, bytes & 255];
  return Buffer.concat(
    params.map(([name, value]) =>
      Buffer.concat([
        Uint8Array.from([...length(name.length), ...length(value.length)]),
        Buffer.from(name + value, 'latin1'),
      ]),
    ),
  );
}

export interface RequestInput {
  readonly params?: Readonly<Record<string, ByteString>>;
  readonly body?: ByteString;
  /** The file for a Filter. */
  readonly data?: ByteString;
  /** Most bytes that one `readBody` gives. */
  readonly pieceBytes?: number;
  readonly override?: Partial<RequestHost>;
  readonly role?: RoleName;
}

/** A request that records what the script does. */
export function newRequest({
  params = {},
  body = '',
  data = '',
  pieceBytes = 1000,
  override = {},
}: RequestInput = {}): Recorded {
  let position = 0;
  let dataPosition = 0;
  const recorded: Recorded = {
    params: encodeParams(Object.entries(params)),
    body: '',
    calls: [],
    headerLine: (line) => recorded.calls.push(`header line ${line}`),
    header: (name, value) => recorded.calls.push(`header ${name}: ${value}`),
    status: (status) => recorded.calls.push(`status ${status}`),
    headerValues: () => [],
    writeUpload: () => 0,
    readUpload: () => new Uint8Array(0),
    removeHeader: (name) => recorded.calls.push(`remove header ${name}`),
    place: { id: 'run-1', state: 3, worker: 1 },
    problem: undefined,
    write(bytes) {
      recorded.body += Buffer.from(bytes).toString('latin1');
    },
    tryWrite(bytes) {
      recorded.write(bytes);
      return bytes.length;
    },
    tryFlush() {
      recorded.flush();
      return true;
    },
    tryFinish() {
      recorded.finish();
      return true;
    },
    tryLastFlush: () => true,
    isHeld: false,
    flush: () => recorded.calls.push(`flush after ${recorded.body.length}`),
    reset() {
      recorded.body = '';
      recorded.calls.push('reset');
    },
    finish: () => recorded.calls.push(`finish after ${recorded.body.length}`),
    grant: () => recorded.calls.push('grant'),
    readData(maxBytes) {
      const piece = data.slice(dataPosition, dataPosition + Math.min(maxBytes, pieceBytes));
      dataPosition += piece.length;
      return piece === '' ? null : Buffer.from(piece, 'latin1');
    },
    isBodyWhole: true,
    readBody(maxBytes) {
      const piece = body.slice(position, position + Math.min(maxBytes, pieceBytes));
      position += piece.length;
      return piece === '' ? null : Buffer.from(piece, 'latin1');
    },
    log: (level, text) => recorded.calls.push(`log ${level} ${text}`),
    configure: (name, value) => recorded.calls.push(`configure ${name} ${value}`),
    ...override,
  };
  return recorded;
}

export interface Served {
  readonly body: ByteString;
  readonly calls: readonly string[];
  readonly exitCode: number;
}

/** Serves a request and gives what came of it. Throws `LuaError`. */
export function serve(state: LuaState, handler: string, input: RequestInput = {}): Served {
  const request = newRequest(input);
  const result = state.serve(handler, request, input.role);
  assert.equal(result.outcome, 'finished');
  const { exitCode } = result as Finished;
  return { body: request.body, calls: request.calls, exitCode };
}

/** Serves one request with a handler of this source. */
export function serveSource(source: ByteString, input: RequestInput = {}, options: Partial<StateOptions> = {}): Served {
  const { state, run } = newState(options);
  try {
    run(`function main(env, con) ${source}\nend`);
    return serve(state, 'main', input);
  } finally {
    state.close();
  }
}

/** The error that some work ends with. */
export function luaError(work: () => unknown): LuaError {
  try {
    work();
  } catch (error) {
    if (error instanceof LuaError) return error;
    throw error;
  }
  throw new Error('expected a LuaError');
}

/** The message of the error that a handler of this source ends with. */
export function failure(source: ByteString, input: RequestInput = {}): ByteString {
  return luaError(() => serveSource(source, input)).message;
}
