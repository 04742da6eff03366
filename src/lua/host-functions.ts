/**
 * The functions that the Lua files beside this one call on their host, the same for all engines. Scripts can get at them
 * through Lua's debug library, so they trust nothing they are given.
 */

import { isUtf8 } from 'node:buffer';
import { toByteString, toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { HEAD_LIMIT_BYTES, headTooLarge } from '../cgi/response.js';
import {
  BODY_PIECE_BYTES,
  excerpt,
  LOG_PIECE_BYTES,
  MESSAGE_LIMIT_BYTES,
  PATH_LIMIT_BYTES,
  piecesOf,
  TRACEBACK_LIMIT_BYTES,
  textPiecesOf,
  wholeText,
  wordOf,
} from './crossing.js';
import { callCrypto } from './crypto-functions.js';
import { callFiles } from './file-functions.js';
import { type HostArguments, type HostedState, type HostFunction, running } from './hosted-state.js';
import { outputFunctions } from './output-functions.js';
import { callSessions } from './session-functions.js';
import { callShared } from './shared-functions.js';
import { bytecodeRefusal } from './source-text.js';
import { type ByteString, isolations, type LogLevel } from './state.js';
import { waitFunctions } from './wait-functions.js';

/** More than `frames.lua` makes. */
const FRAMES_LIMIT_BYTES = 1 << 20;

/** Most bytes that one read of the request body gives. */
export const LARGEST_READ_BYTES = 1 << 18;

/** The path of a file; one that is longer than paths are names none. */
function pathText(args: HostArguments, at: number): ByteString {
  return wholeText(args.string(at), PATH_LIMIT_BYTES) ?? '';
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
    const body = running(state).readBody(wanted >= 1 ? Math.min(Math.floor(wanted), LARGEST_READ_BYTES) : 1);
    return body ?? undefined;
  },

  /** Bytes, or nil at the end of the file that a Filter is given. */
  readdata(state, args) {
    const wanted = args.number(1);
    const data = running(state).readData(wanted >= 1 ? Math.min(Math.floor(wanted), LARGEST_READ_BYTES) : 1);
    return data ?? undefined;
  },

  /** Adds to the temporary file of the request; gives where in it. */
  writeupload(state, args) {
    const request = running(state);
    let at: number | undefined;
    for (const piece of piecesOf(args.string(1), BODY_PIECE_BYTES)) {
      const offset = request.writeUpload(piece);
      at ??= offset;
    }
    return at;
  },

  /** Bytes of that file: from an offset on, at most so many. */
  readupload: (state, args) => running(state).readUpload(args.number(1), Math.min(args.number(2), LARGEST_READ_BYTES)),

  /** Raises the error for input of the client that a script has asked for and that cannot be taken. */
  refuse(state, args): never {
    throw refusedInput(wordOf(args.string(1)), wordOf(args.string(2)), state);
  },

  log(state, args) {
    const level = wordOf(args.string(1));
    const request = running(state);
    for (const piece of textPiecesOf(args.string(2), LOG_PIECE_BYTES)) {
      request.log(isLogLevel(level) ? level : 'info', piece);
    }
    return undefined;
  },

  configure(state, args) {
    const name = wordOf(args.string(1));
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
    const name = wordOf(args.string(1));
    return Object.hasOwn(config, name) ? config[name] : undefined;
  },

  /** How long the script's values live. */
  isolation(state, args) {
    const name = wordOf(args.string(1));
    const isolation = isolations.find((known) => known === name);
    if (isolation === undefined) throw new Error(`there is no isolation ${name}`);
    state.isolate(isolation);
    return undefined;
  },

  /** Adds to standard output (1) or error (2). */
  print(state, args) {
    const stream = args.number(1);
    for (const piece of textPiecesOf(args.string(2), LOG_PIECE_BYTES)) state.log.write(stream, piece);
    return undefined;
  },

  getenv(state, args) {
    const { environment = {} } = state.options;
    const name = toText(wordOf(args.string(1)));
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    return value === undefined ? undefined : toByteString(value);
  },

  /** The bytes of a file that the state depends on from now on, as on its Lua files; nothing when there is none. */
  textfile: (state, args) => state.options.host.readSource(pathText(args, 1)),

  /** What `crypto-functions.ts` has. */
  crypto: (state, args) => callCrypto(state, args),

  /** What `file-functions.ts` has. */
  files: (state, args) => callFiles(state, args),

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

  ...waitFunctions,

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
    const message = excerpt(args.string(1), MESSAGE_LIMIT_BYTES);
    const traceback = excerpt(args.string(2), TRACEBACK_LIMIT_BYTES);
    state.noteError(message, traceback, wholeText(args.string(3), FRAMES_LIMIT_BYTES) ?? '');
    return undefined;
  },
} satisfies Record<string, HostFunction>;
