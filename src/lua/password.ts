/**
 * Hashes of passwords as PHC strings: argon2id where this Node.js has it, else scrypt. One takes a tenth of a second and more,
 * on purpose, and for that time the thread that calls: so at most one a worker.
 */
import * as crypto from 'node:crypto';
import type { ByteString } from '../base/byte-string.js';

/** Since Node.js 24.7. */
interface Argon2Options {
  readonly message: Uint8Array;
  readonly nonce: Uint8Array;
  readonly parallelism: number;
  readonly tagLength: number;
  readonly memory: number;
  readonly passes: number;
}
type Argon2 = (algorithm: 'argon2id', options: Argon2Options) => Buffer;

const { argon2Sync } = crypto as unknown as { readonly argon2Sync?: Argon2 };

/** What OWASP recommends: 19 MiB and 2 passes; 128 MiB. */
const argon2Costs = { m: 19_456, t: 2, p: 1 } as const;
const scryptCosts = { ln: 17, r: 8, p: 1 } as const;
const saltBytes = 16;
const hashBytes = 32;
/** What verifying a hash may cost at most, whoever has written it. */
const mostKib = 256 * 1024;
const mostPasses = 16;

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
  if (kib > mostKib || t * p > mostPasses || t < 1 || p < 1 || r < 1 || ln < 1) {
    throw new Error(`the hash of a password asks for more than ${mostKib / 1024} MiB or ${mostPasses} passes`);
  }
  return parsed;
}

function compute(password: Uint8Array, { scheme, costs, salt }: Omit<Parsed, 'hash'>, lengthBytes: number): Buffer {
  const { m = 0, t = 0, p = 1, ln = 0, r = 0 } = costs;
  if (scheme === 'argon2id') {
    if (argon2Sync === undefined)
      throw new Error('argon2id needs Node.js 24.7 or newer; this hash cannot be verified here');
    const options = { message: password, nonce: salt, parallelism: p, tagLength: lengthBytes, memory: m, passes: t };
    return argon2Sync('argon2id', options);
  }
  const maxmem = 2 ** ln * r * 128 + p * r * 128 + (1 << 20);
  return crypto.scryptSync(password, salt, lengthBytes, { N: 2 ** ln, r, p, maxmem });
}

/** The hash of a password, with a new salt. */
export function hashPassword(password: Uint8Array): string {
  const salt = crypto.randomBytes(saltBytes);
  if (argon2Sync !== undefined) {
    const hash = compute(password, { scheme: 'argon2id', costs: argon2Costs, salt }, hashBytes);
    const { m, t, p } = argon2Costs;
    return `$argon2id$v=19$m=${m},t=${t},p=${p}$${base64(salt)}$${base64(hash)}`;
  }
  const hash = compute(password, { scheme: 'scrypt', costs: scryptCosts, salt }, hashBytes);
  const { ln, r, p } = scryptCosts;
  return `$scrypt$ln=${ln},r=${r},p=${p}$${base64(salt)}$${base64(hash)}`;
}

/** Whether a password is the one of the hash. */
export function verifyPassword(password: Uint8Array, text: ByteString): boolean {
  const parsed = parse(text);
  return crypto.timingSafeEqual(compute(password, parsed, parsed.hash.length), parsed.hash);
}

/** Whether `hashPassword` would give a better hash today. */
export function needsRehash(text: ByteString): boolean {
  const { scheme, costs, hash } = parse(text);
  const best = argon2Sync !== undefined ? 'argon2id' : 'scrypt';
  if (scheme !== best) return best === 'argon2id';
  const wanted: Readonly<Record<string, number>> = scheme === 'argon2id' ? argon2Costs : scryptCosts;
  return hash.length < hashBytes || Object.entries(wanted).some(([name, least]) => (costs[name] ?? 0) < least);
}
