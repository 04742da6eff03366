/** Host functions of the module luafcgid.crypto, the same for all engines. */

import { createHash, createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { ByteString } from '../base/byte-string.js';
import { deriveKey } from '../base/key-derivation.js';
import { BODY_PIECE_BYTES, type LuaString, piecesOf, wholeText } from './crossing.js';
import { hashPassword, needsRehash, type PasswordWork, verifyPassword } from './password.js';
import { open, seal } from './sealing.js';
import type { LuaValue, StateOptions } from './state.js';

/** What these functions need of the state that calls. */
interface State {
  readonly options: Pick<StateOptions, 'keys' | 'waits'>;
}

/** Their arguments, counted from 1. */
interface Arguments {
  number(at: number): number;
  string(at: number): LuaString;
}

type CryptoFunction = (state: State, args: Arguments) => LuaValue | Uint8Array;

const algorithms = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const;
const WORD_BYTES = 256;
const MOST_RANDOM_BYTES = 1 << 20;
const MOST_PASSWORD_BYTES = 4096;
const MOST_SEALED_BYTES = 1 << 20;
/** A multiple of 3: pieces of base64 can be put together. */
const BASE64_PIECE_BYTES = 3 * 65_536;

function algorithm(args: Arguments, at: number): string {
  const name = wholeText(args.string(at), WORD_BYTES) ?? '';
  const known = algorithms.find((one) => one === name);
  if (known === undefined) throw new Error(`there is no digest of this name; there are ${algorithms.join(', ')}`);
  return known;
}

/** A copy: the next argument takes the place of this one. */
function copyOf(args: Arguments, at: number): Buffer {
  const text = args.string(at);
  return Buffer.from(text.bytes(0, text.sizeBytes));
}

/** Work that takes long is for another thread, where there is one for it. */
function result({ options }: State, { password, derivation, finish }: PasswordWork<LuaValue>): LuaValue {
  const wait = options.waits?.deriveKey?.(password, derivation, finish);
  return wait === undefined ? finish(deriveKey(password, derivation)) : { wait };
}

function limited(args: Arguments, at: number, mostBytes: number, what: string): Buffer {
  if (args.string(at).sizeBytes > mostBytes) throw new Error(`${what} has more than ${mostBytes} bytes`);
  return copyOf(args, at);
}

function secretsOf(state: State, name: ByteString): readonly string[] {
  const { keys = {} } = state.options;
  const secrets = Object.hasOwn(keys, name) ? keys[name] : undefined;
  if (secrets === undefined) {
    throw new Error(`there is no key of this name: the configuration names keys, as keys = { session = "…" }`);
  }
  return secrets;
}

const text = (args: Arguments, at: number): ByteString => wholeText(args.string(at), WORD_BYTES) ?? '';

/** Encodes a string of any length, piece by piece. */
function encode(string: LuaString, encoding: 'base64' | 'hex', pieceBytes: number): Buffer {
  const room = encoding === 'hex' ? string.sizeBytes * 2 : Math.ceil(string.sizeBytes / 3) * 4;
  const out = Buffer.allocUnsafe(room);
  let at = 0;
  for (const piece of piecesOf(string, pieceBytes)) {
    at += out.write(Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString(encoding), at, 'latin1');
  }
  return out.subarray(0, at);
}

/** By byte: the value of a character of base64, of either alphabet; 255 for all others. */
const base64Values = new Uint8Array(256).fill(255);
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
for (let value = 0; value < 64; value += 1) base64Values[alphabet.charCodeAt(value)] = value;
base64Values[0x2d] = 62;
base64Values[0x5f] = 63;

/** Undefined when the text is none: each character counts, padding may be left out. */
function fromBase64(string: LuaString): Buffer | undefined {
  const bytes = string.bytes(0, string.sizeBytes);
  let end = bytes.length;
  while (end > 0 && bytes.length - end < 2 && bytes[end - 1] === 0x3d) end -= 1;
  if (end % 4 === 1 || (end < bytes.length && bytes.length % 4 !== 0)) return undefined;
  const out = Buffer.allocUnsafe(Math.floor((end * 3) / 4));
  let held = 0;
  let to = 0;
  for (let at = 0; at < end; at += 1) {
    const value = base64Values[bytes[at] as number] as number;
    if (value === 255) return undefined;
    held = ((held << 6) | value) & 0xffff;
    const bits = ((at & 3) * 6 + 6) & 7;
    if ((at & 3) !== 0) out[to++] = held >> bits;
  }
  return out;
}

function fromHex(string: LuaString): Buffer | undefined {
  const bytes = string.bytes(0, string.sizeBytes);
  if (bytes.length % 2 !== 0) return undefined;
  const out = Buffer.allocUnsafe(bytes.length / 2);
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    const lower = byte | 0x20;
    const digit = byte >= 48 && byte <= 57 ? byte - 48 : lower >= 97 && lower <= 102 ? lower - 87 : 255;
    if (digit === 255) return undefined;
    out[at >> 1] = at % 2 === 0 ? digit << 4 : (out[at >> 1] as number) | digit;
  }
  return out;
}

const functions: Readonly<Record<string, CryptoFunction>> = {
  random(_state, args) {
    const count = args.number(1);
    return randomBytes(count >= 1 ? Math.min(Math.floor(count), MOST_RANDOM_BYTES) : 0);
  },

  uuid: () => randomUUID(),

  digest(_state, args) {
    const hash = createHash(algorithm(args, 1));
    for (const piece of piecesOf(args.string(2), BODY_PIECE_BYTES)) hash.update(piece);
    return hash.digest();
  },

  hmac(_state, args) {
    const name = algorithm(args, 1);
    const hmac = createHmac(name, copyOf(args, 2));
    for (const piece of piecesOf(args.string(3), BODY_PIECE_BYTES)) hmac.update(piece);
    return hmac.digest();
  },

  /** Compares in a time that does not depend on where two strings differ. */
  equal(_state, args) {
    const left = copyOf(args, 1);
    const right = copyOf(args, 2);
    return left.length === right.length && timingSafeEqual(left, right);
  },

  base64: (_state, args) => encode(args.string(1), 'base64', BASE64_PIECE_BYTES),
  unbase64: (_state, args) => fromBase64(args.string(1)),
  hex: (_state, args) => encode(args.string(1), 'hex', BASE64_PIECE_BYTES),
  unhex: (_state, args) => fromHex(args.string(1)),

  /** Of a key's name, a text, a context, and seconds until it expires (0: never). */
  seal(state, args) {
    const name = text(args, 1);
    const secrets = secretsOf(state, name);
    const sealed = limited(args, 2, MOST_SEALED_BYTES, 'the text');
    const context = limited(args, 3, MOST_SEALED_BYTES, 'the context');
    const seconds = args.number(4);
    return seal(name, secrets, sealed, context, seconds > 0 ? Math.floor(Date.now() / 1000 + seconds) : 0);
  },

  /** The text, or a number: 1 for a token that was forged, 2 for one that has expired. */
  open(state, args) {
    const name = text(args, 1);
    const secrets = secretsOf(state, name);
    if (args.string(2).sizeBytes > 2 * MOST_SEALED_BYTES) return 1;
    const token = copyOf(args, 2);
    const context = limited(args, 3, MOST_SEALED_BYTES, 'the context');
    const opened = open(name, secrets, token, context, Date.now() / 1000);
    return opened === 'forged' ? 1 : opened === 'expired' ? 2 : opened;
  },

  /** The hash, or a table of what the request has to `wait` for: the result of that is the hash. */
  hashpassword: (state, args) => result(state, hashPassword(limited(args, 1, MOST_PASSWORD_BYTES, 'the password'))),

  /** Whether it is the one of the hash, or what the request has to `wait` for. */
  verifypassword(state, args) {
    const password = limited(args, 1, MOST_PASSWORD_BYTES, 'the password');
    return result(state, verifyPassword(password, wholeText(args.string(2), 2 * WORD_BYTES) ?? ''));
  },

  needsrehash: (_state, args) => needsRehash(wholeText(args.string(1), 2 * WORD_BYTES) ?? ''),
};

/** Calls one of the functions: its name is the first argument. One host function for all keeps new states small. */
export function callCrypto(state: State, args: Arguments): LuaValue | Uint8Array {
  const name = text(args, 1);
  const run = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (run === undefined) throw new Error('there is no such function');
  return run(state, { number: (at) => args.number(at + 1), string: (at) => args.string(at + 1) });
}
