/**
 * Hashes of passwords as PHC strings: argon2id where this Node.js has it, else scrypt. What takes long is left to who calls.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { ByteString } from '../base/byte-string.js';
import { type Derivation, HAS_ARGON2 } from '../base/key-derivation.js';

/** What OWASP recommends: 19 MiB and 2 passes; 128 MiB. */
const argon2Costs = { m: 19_456, t: 2, p: 1 } as const;
const scryptCosts = { ln: 17, r: 8, p: 1 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** What verifying a hash may cost at most, whoever has written it. */
const MOST_KIB = 256 * 1024;
const MOST_PASSES = 16;

const base64 = (bytes: Uint8Array): string => {
  const text = Buffer.from(bytes).toString('base64');
  return text.slice(0, text.length - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0));
};

interface Parsed {
  readonly scheme: 'argon2id' | 'scrypt';
  readonly costs: Readonly<Record<string, number>>;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const argon2Syntax =
  /^\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]{8,128})\$([A-Za-z0-9+/]{16,128})$/;
const scryptSyntax =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{8,128})\$([A-Za-z0-9+/]{16,128})$/;

/** @throws Error when the text is no hash of these, or one that costs too much */
function parse(text: ByteString): Parsed {
  const argon2 = argon2Syntax.exec(text);
  const scrypt = argon2 === null ? scryptSyntax.exec(text) : null;
  const [, a = '', b = '', c = '', salt = '', hash = ''] = argon2 ?? scrypt ?? [];
  if (argon2 === null && scrypt === null) {
    throw new Error('the hash is none of a password: it has to be text that password.hash gave');
  }
  const parts = { salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') };
  const parsed: Parsed =
    argon2 !== null
      ? { scheme: 'argon2id', costs: { m: Number(a), t: Number(b), p: Number(c) }, ...parts }
      : { scheme: 'scrypt', costs: { ln: Number(a), r: Number(b), p: Number(c) }, ...parts };
  const { m = 0, t = 1, p = 1, ln = 1, r = 1 } = parsed.costs;
  const kib = parsed.scheme === 'argon2id' ? m : (2 ** ln * r * 128) / 1024;
  if (kib > MOST_KIB || t * p > MOST_PASSES || t < 1 || p < 1 || r < 1 || ln < 1) {
    throw new Error(`the hash of a password asks for more than ${MOST_KIB / 1024} MiB or ${MOST_PASSES} passes`);
  }
  return parsed;
}

/** What has to be computed, and what is made of it. */
export interface PasswordWork<Result> {
  readonly password: Uint8Array;
  readonly derivation: Derivation;
  finish(key: Uint8Array): Result;
}

/** The hash of a password, with a new salt. */
export function hashPassword(password: Uint8Array): PasswordWork<string> {
  const salt = randomBytes(SALT_BYTES);
  const scheme = HAS_ARGON2 ? 'argon2id' : 'scrypt';
  const costs = HAS_ARGON2 ? argon2Costs : scryptCosts;
  return {
    password,
    derivation: { scheme, costs, salt, keyBytes: HASH_BYTES },
    finish(key) {
      const { m, t, p } = argon2Costs;
      const { ln, r } = scryptCosts;
      const words = HAS_ARGON2 ? `$argon2id$v=19$m=${m},t=${t},p=${p}` : `$scrypt$ln=${ln},r=${r},p=${scryptCosts.p}`;
      return `${words}$${base64(salt)}$${base64(key)}`;
    },
  };
}

/** Whether a password is the one of the hash. @throws Error when the text is no hash of these, or one that costs too much */
export function verifyPassword(password: Uint8Array, text: ByteString): PasswordWork<boolean> {
  const { scheme, costs, salt, hash } = parse(text);
  return {
    password,
    derivation: { scheme, costs, salt, keyBytes: hash.length },
    finish: (key) => timingSafeEqual(key, hash),
  };
}

/** Whether `hashPassword` would give a better hash today. */
export function needsRehash(text: ByteString): boolean {
  const { scheme, costs, hash } = parse(text);
  const best = HAS_ARGON2 ? 'argon2id' : 'scrypt';
  if (scheme !== best) return best === 'argon2id';
  const wanted: Readonly<Record<string, number>> = scheme === 'argon2id' ? argon2Costs : scryptCosts;
  return hash.length < HASH_BYTES || Object.entries(wanted).some(([name, least]) => (costs[name] ?? 0) < least);
}
