/**
 * Texts that only the holder of a key can read or make: AES-256-GCM. A token is, in base64url: a version, the first bytes of
 * the key's digest, the second in which it expires (0: never), a nonce, the ciphertext and its tag. All before the nonce, and
 * the context, are authenticated.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

const VERSION = 1;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const EXPIRES_AT = 1 + KEY_ID_BYTES;
const NONCE_AT = EXPIRES_AT + 6;
const TEXT_AT = NONCE_AT + NONCE_BYTES;

interface Key {
  readonly id: Buffer;
  readonly bytes: Buffer;
}

/** By name and secret: making one takes a while. */
const made = new Map<string, Key>();

function keyOf(name: string, secret: string): Key {
  const place = `${name}\0${secret}`;
  const known = made.get(place);
  if (known !== undefined) return known;
  const bytes = Buffer.from(hkdfSync('sha256', Buffer.from(secret, 'latin1'), '', `luafcgid seal ${name}`, 32));
  const key = { bytes, id: createHash('sha256').update(bytes).digest().subarray(0, KEY_ID_BYTES) };
  made.set(place, key);
  return key;
}

/** Seals with the first secret. @param expiresSeconds seconds since 1970; 0: never */
export function seal(
  name: string,
  secrets: readonly string[],
  text: Uint8Array,
  context: Uint8Array,
  expiresSeconds: number,
): Buffer {
  const key = keyOf(name, secrets[0] as string);
  const head = Buffer.alloc(NONCE_AT);
  head[0] = VERSION;
  key.id.copy(head, 1);
  head.writeUIntBE(expiresSeconds, EXPIRES_AT, 6);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce);
  cipher.setAAD(Buffer.concat([head, context]));
  const parts = [head, nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()];
  return Buffer.from(Buffer.concat(parts).toString('base64url'), 'latin1');
}

/** The text of a token; or why there is none. */
export function open(
  name: string,
  secrets: readonly string[],
  token: Uint8Array,
  context: Uint8Array,
  nowSeconds: number,
): Buffer | 'forged' | 'expired' {
  const written = Buffer.from(token.buffer, token.byteOffset, token.length).toString('latin1');
  const bytes = Buffer.from(written, 'base64url');
  // What is decoded must be what was written: no second spelling of a token.
  if (bytes.length < TEXT_AT + TAG_BYTES || bytes[0] !== VERSION || bytes.toString('base64url') !== written)
    return 'forged';
  const key = secrets.map((secret) => keyOf(name, secret)).find(({ id }) => id.equals(bytes.subarray(1, EXPIRES_AT)));
  if (key === undefined) return 'forged';
  const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(NONCE_AT, TEXT_AT), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.concat([bytes.subarray(0, NONCE_AT), context]));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  let text: Buffer;
  try {
    text = Buffer.concat([decipher.update(bytes.subarray(TEXT_AT, -TAG_BYTES)), decipher.final()]);
  } catch {
    return 'forged';
  }
  const expires = bytes.readUIntBE(EXPIRES_AT, 6);
  return expires !== 0 && nowSeconds >= expires ? 'expired' : text;
}
