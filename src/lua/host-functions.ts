/**
 * The functions that the Lua files beside this one call on their host, the same for all engines. Scripts can get at them
 * through Lua's debug library, so they trust nothing they are given.
 */

import { isUtf8 } from 'node:buffer';
import { toByteString, toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { HEAD_LIMIT_BYTES, headTooLarge } from '../cgi/response.js';
import { MOST_NAME_BYTES } from '../shared/lock-table.js';
import {
  bodyPieceBytes,
  excerpt,
  type LuaString,
  logPieceBytes,
  messageLimitBytes,
  pathLimitBytes,
  piecesOf,
  textPiecesOf,
  tracebackLimitBytes,
  wholeText,
} from './crossing.js';
import { callCrypto } from './crypto-functions.js';
import { outputFunctions } from './output-functions.js';
import type { ScriptLog } from './script-log.js';
import { callSessions } from './session-functions.js';
import { callShared } from './shared-functions.js';
import { bytecodeRefusal } from './source-text.js';
import {
  type ByteString,
  type Isolation,
  isolations,
  type LogLevel,
  type LuaValue,
  type RequestHost,
  type StateOptions,
  type WaitHost,
} from './state.js';

/** More than `frames.lua` makes. */
const framesLimitBytes = 1 << 20;

/** The state that calls, as these functions know it. */
export interface HostedState {
  readonly options: StateOptions;
  readonly log: ScriptLog;
  readonly startMs: number;
  /** The script that is being loaded wants its values to live so long. @throws LuafcgidError where that cannot be */
  isolate(isolation: Isolation): void;
  /** The request that is being answered. */
  readonly request: RequestHost | undefined;
  /** Whether a stop is under way: errors are only raised to leave what runs. */
  readonly isStopping: boolean;
  /** What the engine hands to the Lua function it calls. */
  readonly callArgument: LuaValue;
  /** The precompiled chunk of a part that is loaded when it is needed. */
  deferredPart(name: ByteString): Uint8Array | undefined;
  /** Lines of the script that the state was made from, numbered from 1. Undefined for other chunks, and asked again. */
  sourceLines(chunkName: ByteString, first: number, last: number): ByteString | undefined;
  /** An error text, its Lua stack, and the local variables of that (`frames.lua`). */
  noteError(message: ByteString, traceback: ByteString, frames: ByteString): void;
  /** `os.exit` in the calling thread; without a code the exit reaches another thread. */
  beginExit(code: number | undefined): void;
}

/** The arguments of a call, counted from 1. What is missing or of another type comes as zero or empty. */
export interface HostArguments {
  readonly count: number;
  number(at: number): number;
  isTrue(at: number): boolean;
  /** The string at `at`, to be read through `crossing.ts`. Valid until the next one is asked for. */
  string(at: number): LuaString;
}

/** What a call gives back. Bytes become a Lua string. */
export type HostResult = LuaValue | Uint8Array;

/** In Lua these return true and the result, or nil and the message of what was thrown. */
export type HostFunction = (state: HostedState, args: HostArguments) => HostResult;

/** Most bytes that one read of the request body gives. */
export const largestReadBytes = 1 << 18;

export function running(state: HostedState): RequestHost {
  if (state.request === undefined) throw new Error('no request is running');
  return state.request;
}

function waits(state: HostedState): WaitHost {
  if (state.options.waits === undefined) throw new Error('nothing can be waited for here');
  return state.options.waits;
}

/** A short text that tells what is meant: one that is longer than this names nothing. */
const wordLimitBytes = 1024;

/** Most values of an operation: what databases take in a statement is less. */
const shapeLimitBytes = 70_000;

/** A copy of a string: a later argument may be read into the same memory. */
function wholeBytes(string: LuaString): Uint8Array {
  return Uint8Array.from(string.bytes(0, string.sizeBytes));
}

function word(args: HostArguments, at: number): ByteString {
  return wholeText(args.string(at), wordLimitBytes) ?? '';
}

function lockName(args: HostArguments): ByteString {
  const name = wholeText(args.string(1), MOST_NAME_BYTES);
  if (name === undefined) throw new Error(`the name of a lock has more than ${MOST_NAME_BYTES} bytes`);
  return name;
}

/** The path of a file; one that is longer than paths are names none. */
function pathText(args: HostArguments, at: number): ByteString {
  return wholeText(args.string(at), pathLimitBytes) ?? '';
}

/** A part of the header block. @throws LuafcgidError when it is larger than the whole block may be */
function headText(args: HostArguments, at: number): ByteString {
  const text = wholeText(args.string(at), HEAD_LIMIT_BYTES);
  if (text === undefined) throw headTooLarge();
  return text;
}

/** The error for input that a script has asked for and that cannot be taken. */
function refusedInput(kind: string, detail: ByteString, state: HostedState): LuafcgidError {
  switch (kind) {
    case 'multipart':
      return new LuafcgidError('LUAFCGID_REQUEST_MULTIPART', { detail });
    case 'json':
      return new LuafcgidError('LUAFCGID_REQUEST_JSON', { detail: toText(detail) });
    case 'type':
      return new LuafcgidError('LUAFCGID_REQUEST_TYPE', { type: toText(detail) });
    case 'size':
      return new LuafcgidError('LUAFCGID_REQUEST_BODY_TOO_LARGE', { limit: detail });
    case 'field':
      return new LuafcgidError('LUAFCGID_REQUEST_FIELD_TOO_LARGE', { limit: state.options.config.maxfield });
    case 'csrf':
      return new LuafcgidError('LUAFCGID_REQUEST_CSRF', { detail });
    default:
      return new LuafcgidError('LUAFCGID_REQUEST_FIELDS', { what: detail, limit: state.options.config.maxfields });
  }
}

function isLogLevel(text: string): text is LogLevel {
  return text === 'debug' || text === 'info' || text === 'warn' || text === 'error';
}

/** Only the script of a configuration is asked for its globals: those of others would be kept beside their memory. */
export function requireGlobals(state: HostedState): void {
  if (state.options.givesGlobals !== true) throw new Error('only a configuration is asked for its globals');
}

export const hostFunctions = {
  ...outputFunctions,

  headerline(state, args) {
    running(state).headerLine(headText(args, 1));
    return undefined;
  },

  header(state, args) {
    running(state).header(headText(args, 1), headText(args, 2));
    return undefined;
  },

  status(state, args) {
    running(state).status(headText(args, 1));
    return undefined;
  },

  headervalues: (state, args) => running(state).headerValues(headText(args, 1)),

  removeheader(state, args) {
    running(state).removeHeader(headText(args, 1));
    return undefined;
  },

  /** Where the request runs, and why it failed, if it has. */
  about(state) {
    const { place, problem } = running(state);
    return { ...place, ...(problem !== undefined && { problem: { ...problem } }) };
  },

  reset(state) {
    running(state).reset();
    return undefined;
  },

  /** The handler of an Authorizer has returned true. */
  grant(state) {
    running(state).grant();
    return undefined;
  },

  /** Whether nobody has to wait for the client: all of the body has come. */
  bodyiswhole: (state) => running(state).isBodyWhole,

  /** Starts to wait for more of the body, or (true) of a Filter's file: its token, or nothing when that is not needed. */
  awaitbody: (state, args) => state.options.waits?.awaitBody(args.isTrue(1)),

  /** Bytes, or nil at the end of the body. */
  readbody(state, args) {
    const wanted = args.number(1);
    const body = running(state).readBody(wanted >= 1 ? Math.min(Math.floor(wanted), largestReadBytes) : 1);
    return body ?? undefined;
  },

  /** Bytes, or nil at the end of the file that a Filter is given. */
  readdata(state, args) {
    const wanted = args.number(1);
    const data = running(state).readData(wanted >= 1 ? Math.min(Math.floor(wanted), largestReadBytes) : 1);
    return data ?? undefined;
  },

  /** Adds to the temporary file of the request; gives where in it. */
  writeupload(state, args) {
    const request = running(state);
    let at: number | undefined;
    for (const piece of piecesOf(args.string(1), bodyPieceBytes)) {
      const offset = request.writeUpload(piece);
      at ??= offset;
    }
    return at;
  },

  /** Bytes of that file: from an offset on, at most so many. */
  readupload: (state, args) => running(state).readUpload(args.number(1), Math.min(args.number(2), largestReadBytes)),

  /** Raises the error for input of the client that a script has asked for and that cannot be taken. */
  refuse(state, args): never {
    throw refusedInput(word(args, 1), word(args, 2), state);
  },

  log(state, args) {
    const level = word(args, 1);
    const request = running(state);
    for (const piece of textPiecesOf(args.string(2), logPieceBytes)) {
      request.log(isLogLevel(level) ? level : 'info', piece);
    }
    return undefined;
  },

  configure(state, args) {
    const name = word(args, 1);
    if (name === 'buffering') running(state).configure(name, args.isTrue(2));
    else if (name === 'watchdog') running(state).configure(name, args.number(2));
    else if (name === 'httpstatus' || name === 'contenttype' || name === 'onabort') {
      running(state).configure(name, headText(args, 2));
    } else throw new Error(`the setting ${name} cannot be changed`);
    return undefined;
  },

  /** The value of a configuration setting. */
  config(state, args) {
    const { config } = state.options;
    const name = word(args, 1);
    return Object.hasOwn(config, name) ? config[name] : undefined;
  },

  /** How long the script's values live. */
  isolation(state, args) {
    const name = word(args, 1);
    const isolation = isolations.find((known) => known === name);
    if (isolation === undefined) throw new Error(`there is no isolation ${name}`);
    state.isolate(isolation);
    return undefined;
  },

  /** Adds to standard output (1) or error (2). */
  print(state, args) {
    const stream = args.number(1);
    for (const piece of textPiecesOf(args.string(2), logPieceBytes)) state.log.write(stream, piece);
    return undefined;
  },

  getenv(state, args) {
    const { environment = {} } = state.options;
    const name = toText(word(args, 1));
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    return value === undefined ? undefined : toByteString(value);
  },

  /** The bytes of a file that the state depends on from now on, as on its Lua files; nothing when there is none. */
  textfile: (state, args) => state.options.host.readSource(pathText(args, 1)),

  /** What `crypto-functions.ts` has. */
  crypto: (state, args) => callCrypto(state, args),

  /** What `session-functions.ts` has. */
  sessions: (state, args) => callSessions(state, args),

  /** What `shared-functions.ts` has. */
  shared: (state, args) => callShared(state, args),

  /** Whether a string is UTF-8. */
  isutf8(_state, args) {
    const text = args.string(1);
    return isUtf8(text.bytes(0, text.sizeBytes));
  },

  /** Makes an empty file of a new name, where the state may write. */
  tempname(state) {
    const { files } = state.options;
    if (files === undefined) throw new Error('no files were granted');
    return files.makeTemporary();
  },

  /** Seconds since an arbitrary moment: the thread works for one script at a time, so this stands for its processor time. */
  clock(state) {
    return (performance.now() - state.startMs) / 1000;
  },

  /** Seconds since 1970, with fractions. */
  now: () => Date.now() / 1000,

  /** Starts a timer: its token. */
  starttimer(state, args) {
    return waits(state).startTimer(args.number(1) * 1000);
  },

  /** A data source: its number and kind. */
  datasource(state, args) {
    const { id, kind } = waits(state).source(word(args, 1));
    return { id, kind };
  },

  /** The HTTP client: a table of its `id`, or of the `code` and `message` of why there is none. */
  httpclient(state) {
    try {
      return { id: waits(state).httpClient() };
    } catch (error) {
      if (!(error instanceof LuafcgidError)) throw error;
      return { code: error.code, message: toByteString(error.message), solve: toByteString(error.solve) };
    }
  },

  /** Posts an operation of a data source: source, action, handle, seconds, shape, values …; gives its token. */
  post(state, args) {
    const shape = wholeText(args.string(5), shapeLimitBytes);
    if (shape === undefined) throw new Error(`an operation has more than ${shapeLimitBytes} arguments`);
    let at = 5;
    const values: (number | Uint8Array)[] = [];
    for (const kind of shape) {
      if ('tf0'.includes(kind)) continue;
      at += 1;
      values.push('nAM'.includes(kind) ? args.number(at) : wholeBytes(args.string(at)));
    }
    return waits(state).post({
      source: args.number(1),
      action: args.number(2),
      handle: args.number(3),
      limitMs: args.number(4) * 1000,
      shape,
      values,
    });
  },

  /**
   * Takes a lock, or begins to wait for it at most so many seconds: a table of `token` or `wait`, or a word. The third argument:
   * whether the request can be suspended.
   */
  lock(state, args) {
    const waitMs = args.number(2) * 1000;
    const canSuspend = args.isTrue(3);
    return waits(state).lock(lockName(args), waitMs > 0 ? waitMs : 0, canSuspend);
  },

  /** The error for a lock that cannot be waited for at this place in Lua. */
  blockedlock(_state, args) {
    const { code, message, solve } = new LuafcgidError('LUAFCGID_LOCK_BLOCKED', { place: word(args, 1) });
    return { code, message: toByteString(message), solve: toByteString(solve) };
  },

  /** Releases a lock. */
  unlock: (state, args) => waits(state).unlock(lockName(args), args.number(2)),

  holdslock: (state, args) => waits(state).holdsLock(lockName(args), args.number(2)),

  /** Whether an operation is over. */
  isover(state, args) {
    return waits(state).isOver(args.number(1));
  },

  /** The result of an operation that is over: a table of `failed` and `value`. */
  takeresult(state, args) {
    const { isError, value } = waits(state).take(args.number(1));
    return { failed: isError, value };
  },

  /** Waits here, in the host, until one of the request's operations is over. */
  block(state, args) {
    waits(state).block(word(args, 1));
    return undefined;
  },

  /** Ends the request, with a code when there is an argument. */
  exit(state, args) {
    state.beginExit(args.count === 0 ? undefined : Math.trunc(args.number(1)) | 0);
    return undefined;
  },

  /** What the engine hands to the Lua function it calls. */
  argument(state) {
    return state.callArgument;
  },

  /** Whether what runs is being stopped. */
  stopping(state) {
    return state.isStopping;
  },

  /** Lines of the script, when it was not asked for before. */
  sourcelines: (state, args) => state.sourceLines(pathText(args, 1), args.number(2), args.number(3)),

  /** Why a precompiled chunk is not loaded. */
  refusal: () => bytecodeRefusal,

  /** What an error says, and the Lua stack where it was raised. */
  report(state, args) {
    const message = excerpt(args.string(1), messageLimitBytes);
    const traceback = excerpt(args.string(2), tracebackLimitBytes);
    state.noteError(message, traceback, wholeText(args.string(3), framesLimitBytes) ?? '');
    return undefined;
  },
} satisfies Record<string, HostFunction>;
