/**
 * Keys from passwords: argon2id where this Node.js has it, else scrypt. One takes a tenth of a second and more, on purpose: at once on
 * the thread that calls, or later on a thread of the pool of Node.js.
 */
import * as crypto from 'node:crypto';

/** How a key is made. Can be cloned between threads. */
export interface Derivation {
  readonly scheme: 'argon2id' | 'scrypt';
  /** By the names that they have in PHC strings. */
  readonly costs: Readonly<Record<string, number>>;
  readonly salt: Uint8Array;
  readonly keyBytes: number;
}

/** Since Node.js 24.7. */
interface Argon2Options {
  readonly message: Uint8Array;
  readonly nonce: Uint8Array;
  readonly parallelism: number;
  readonly tagLength: number;
  readonly memory: number;
  readonly passes: number;
}
type Done = (error: Error | null, key: Buffer) => void;

const { argon2, argon2Sync } = crypto as unknown as {
  readonly argon2?: (algorithm: 'argon2id', options: Argon2Options, done: Done) => void;
  readonly argon2Sync?: (algorithm: 'argon2id', options: Argon2Options) => Buffer;
};

export const HAS_ARGON2 = argon2 !== undefined && argon2Sync !== undefined;

function argon2Options(password: Uint8Array, { costs, salt, keyBytes }: Derivation): Argon2Options {
  if (!HAS_ARGON2) throw new Error('argon2id needs Node.js 24.7 or newer; this hash cannot be verified here');
  const { m = 0, t = 0, p = 1 } = costs;
  return { message: password, nonce: salt, parallelism: p, tagLength: keyBytes, memory: m, passes: t };
}

function scryptOptions({ costs }: Derivation): crypto.ScryptOptions {
  const { ln = 0, r = 0, p = 1 } = costs;
  return { N: 2 ** ln, r, p, maxmem: 2 ** ln * r * 128 + p * r * 128 + (1 << 20) };
}

/** Makes a key on this thread. @throws Error when this Node.js cannot */
export function deriveKey(password: Uint8Array, derivation: Derivation): Buffer {
  if (derivation.scheme === 'argon2id') {
    const options = argon2Options(password, derivation);
    return (argon2Sync as NonNullable<typeof argon2Sync>)('argon2id', options);
  }
  return crypto.scryptSync(password, derivation.salt, derivation.keyBytes, scryptOptions(derivation));
}

/** Makes a key on a thread of the pool. */
export function deriveKeyLater(password: Uint8Array, derivation: Derivation): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done: Done = (error, key) => (error === null ? resolve(key) : reject(error));
    if (derivation.scheme === 'argon2id') {
      const options = argon2Options(password, derivation);
      (argon2 as NonNullable<typeof argon2>)('argon2id', options, done);
    } else crypto.scrypt(password, derivation.salt, derivation.keyBytes, scryptOptions(derivation), done);
  });
}
