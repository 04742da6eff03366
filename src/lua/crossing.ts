/**
 * What leaves a Lua state leaves it in bounded pieces. A script can make a string as large as its memory; no such string
 * becomes a JavaScript string whole, because it would count for nothing there and because pattern functions over it can end
 * the process. Host functions read strings through this file only.
 */
import { gapMark } from '../base/bounded-text.js';
import type { ByteString } from './state.js';

/** Most bytes of what an error says, of a Lua stack, and of the path of a file (PATH_MAX of Linux). */
export const MESSAGE_LIMIT_BYTES = 16 * 1024;
export const TRACEBACK_LIMIT_BYTES = 32 * 1024;
export const PATH_LIMIT_BYTES = 4096;
/** Most bytes of one line of the log; longer ones become several. */
export const LOG_PIECE_BYTES = 64 * 1024;
/** Most bytes of a body that are handed over at once. */
export const BODY_PIECE_BYTES = 256 * 1024;
/** Most bytes, and most values, of the globals of a configuration. */
export const GLOBALS_LIMIT_BYTES = 8 * 1024 * 1024;
export const GLOBALS_LIMIT_VALUES = 200_000;
/** Most levels of tables in a value that is handed over, either way: deeper ones are taken for mistakes. */
export const NESTING_LIMIT = 64;

/** A string that lies in a Lua state. */
export interface LuaString {
  readonly sizeBytes: number;
  /** A view of a part of it, valid until Lua runs on or another one is read. */
  bytes(start: number, end: number): Uint8Array;
}

function textOf(string: LuaString, start: number, end: number): ByteString {
  const { buffer, byteOffset, length } = string.bytes(start, end);
  return Buffer.from(buffer, byteOffset, length).toString('latin1');
}

/** The string; of a longer one its beginning and its end, with a mark between them that tells how much is missing. */
export function excerpt(string: LuaString, limitBytes: number): ByteString {
  const { sizeBytes } = string;
  if (sizeBytes <= limitBytes) return textOf(string, 0, sizeBytes);
  const tailBytes = limitBytes >>> 2;
  const head = textOf(string, 0, limitBytes - tailBytes);
  return head + gapMark(sizeBytes - limitBytes) + textOf(string, sizeBytes - tailBytes, sizeBytes);
}

/** The string; undefined when it is longer than the limit. */
export function wholeText(string: LuaString, limitBytes: number): ByteString | undefined {
  return string.sizeBytes <= limitBytes ? textOf(string, 0, string.sizeBytes) : undefined;
}

/** Its bytes, valid as long as `bytes` says; undefined when it is longer than the limit. */
export function wholeBytes(string: LuaString, limitBytes: number): Uint8Array | undefined {
  return string.sizeBytes <= limitBytes ? string.bytes(0, string.sizeBytes) : undefined;
}

/** A short text that tells what is meant: one that is longer than this names nothing. */
const WORD_LIMIT_BYTES = 1024;

/** The string as a word; empty when it is too long for one. */
export function wordOf(string: LuaString): ByteString {
  return wholeText(string, WORD_LIMIT_BYTES) ?? '';
}

/** All of the string from an offset on, piece by piece; an empty one is one piece. */
export function* piecesOf(string: LuaString, pieceBytes: number, from = 0): Generator<Uint8Array> {
  const { sizeBytes } = string;
  for (let at = from; at === 0 || at < sizeBytes; at += pieceBytes) {
    yield string.bytes(at, Math.min(sizeBytes, at + pieceBytes));
  }
}

/** The same as texts. */
export function* textPiecesOf(string: LuaString, pieceBytes: number): Generator<ByteString> {
  const { sizeBytes } = string;
  for (let at = 0; at === 0 || at < sizeBytes; at += pieceBytes) {
    yield textOf(string, at, Math.min(sizeBytes, at + pieceBytes));
  }
}
