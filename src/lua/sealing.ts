/**
 * Texts that only the holder of a key can read or make: AES-256-GCM. A token is, in base64url: a version, the first bytes of
 * the key's digest, the second in which it expires (0: never), a nonce, the ciphertext and its tag. All before the nonce, and
 * the context, are authenticated.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

const version = 1;
const keyIdBytes = 4;
const nonceBytes = 12;
const tagBytes = 16;
const expiresAt = 1 + keyIdBytes;
const nonceAt = expiresAt + 6;
const textAt = nonceAt + nonceBytes;

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
  const key = { bytes, id: createHash('sha256').update(bytes).digest().subarray(0, keyIdBytes) };
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
  const head = Buffer.alloc(nonceAt);
  head[0] = version;
  key.id.copy(head, 1);
  head.writeUIntBE(expiresSeconds, expiresAt, 6);
  const nonce = randomBytes(nonceBytes);
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
  if (bytes.length < textAt + tagBytes || bytes[0] !== version || bytes.toString('base64url') !== written)
    return 'forged';
  const key = secrets.map((secret) => keyOf(name, secret)).find(({ id }) => id.equals(bytes.subarray(1, expiresAt)));
  if (key === undefined) return 'forged';
  const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(nonceAt, textAt), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.concat([bytes.subarray(0, nonceAt), context]));
  decipher.setAuthTag(bytes.subarray(-tagBytes));
  let text: Buffer;
  try {
    text = Buffer.concat([decipher.update(bytes.subarray(textAt, -tagBytes)), decipher.final()]);
  } catch {
    return 'forged';
  }
  const expires = bytes.readUIntBE(expiresAt, 6);
  return expires !== 0 && nowSeconds >= expires ? 'expired' : text;
}
