/** luafcgid.crypto in every engine, against node:crypto; forged, expired and foreign tokens; hashes of passwords (cases/users F2). */
import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { open, seal } from '../../src/lua/sealing.js';
import { allBytes, failure, isEmbedded, newState, serve, serveSource } from './support.js';

const required = 'local crypto = require("luafcgid.crypto")';
const oldSecret = 'the secret of last year, which is long enough';
const newSecret = 'the secret of this year, which is long enough';
const context = Buffer.from('user 7');

function output(source: string, keys: Readonly<Record<string, readonly string[]>> = {}): string {
  return serveSource(`${required} ${source}`, { body: allBytes }, { keys }).body;
}

function message(source: string): string {
  const text = failure(`${required} ${source}`);
  assert.match(text, /^\/srv\/script\.lua:1: /);
  return text.replace('/srv/script.lua:1: ', '');
}

test('digests and HMACs are those of node:crypto, of all bytes', () => {
  const bytes = Buffer.from(allBytes, 'latin1');
  for (const name of ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512']) {
    assert.equal(
      output(`con:puts(crypto.hex(crypto.hash("${name}", con:gets())))`),
      createHash(name).update(bytes).digest('hex'),
    );
    assert.equal(
      output(`local b = con:gets() con:puts(crypto.hex(crypto.hmac("${name}", b, b .. b)))`),
      createHmac(name, bytes).update(bytes).update(bytes).digest('hex'),
    );
  }
  assert.equal(
    output('con:puts(crypto.hex(crypto.hash("sha256", ("a"):rep(1e6))))'),
    createHash('sha256').update('a'.repeat(1e6)).digest('hex'),
  );
  assert.match(message('crypto.hash("sha3", "x")'), /^there is no digest of this name; there are md5/);
  assert.match(message('crypto.hmac("sha256", {}, "x")'), /^bad argument #2 to 'hmac' \(string expected, got table\)/);
});

test('random bytes and UUIDs differ between states and calls', () => {
  const seen = new Set<string>();
  for (let state = 0; state < 3; state += 1) {
    const { body } = serveSource(
      `${required} con:puts(crypto.hex(crypto.random(16)), " ", crypto.uuid(), " ", crypto.uuid())`,
    );
    for (const text of body.split(' ')) seen.add(text);
    assert.match(body, /^[0-9a-f]{32} [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12} /);
  }
  assert.equal(seen.size, 9);
  assert.equal(output('con:puts(#crypto.random(1048576))'), '1048576');
  for (const bad of ['0', '1.5', '2^21', 'nil', '"x"', '0/0']) {
    assert.match(message(`crypto.random(${bad})`), /^bad argument #1 to 'random' \(whole number from 1 to 1048576/);
  }
});

test('base64 and hexadecimal digits are read as they were written, at every length', () => {
  const { state, run } = newState();
  run(`${required} function main(env, con)
    local b = con:gets() or ""
    con:puts(crypto.base64(b), " ", crypto.base64url(b), " ", crypto.hex(b), " ")
    con:puts(tostring(crypto.unbase64(crypto.base64(b)) == b and crypto.unbase64(crypto.base64url(b)) == b and crypto.unhex(crypto.hex(b)) == b))
  end`);
  for (const length of [0, 1, 2, 3, 4, 5, 63, 64, 65, 196_607, 196_608, 196_609]) {
    const bytes = randomBytes(length);
    const { body } = serve(state, 'main', { body: bytes.toString('latin1'), pieceBytes: 1 << 20 });
    assert.equal(body, `${bytes.toString('base64')} ${bytes.toString('base64url')} ${bytes.toString('hex')} true`);
  }
  state.close();
  for (const text of ['a', 'a===', 'ab=', 'ab=c', 'a b', 'ab\\0c', 'aGk\\n', 'é']) {
    assert.equal(output(`con:puts(tostring(crypto.unbase64("${text}")))`), 'nil', text);
  }
  for (const text of ['a', 'xy', 'ab cd', '0x'])
    assert.equal(output(`con:puts(tostring(crypto.unhex("${text}")))`), 'nil', text);
});

test('equal compares bytes', () => {
  assert.equal(
    output(
      'local e = crypto.equal con:puts(tostring(e("", "")), tostring(e("a\\0b", "a\\0b")), tostring(e("a", "b")), tostring(e("a", "ab")))',
    ),
    'truetruefalsefalse',
  );
});

test('a sealed text is opened with the same key and context only, and with a secret that was replaced', () => {
  const keys = { session: [newSecret, oldSecret], other: [newSecret] };
  assert.equal(output('con:puts(crypto.open("session", crypto.seal("session", con:gets())))', keys), allBytes);
  assert.equal(output('con:puts(crypto.open("session", crypto.seal("session", "")) == "" and "empty")', keys), 'empty');
  const tried = output(
    `local function why(...) con:puts(tostring((select(2, crypto.open(...)))), " ") end
    local token = crypto.seal("session", "text", { context = "a" })
    why("session", token) why("other", token, { context = "a" }) why("session", token .. "A", { context = "a" })
    why("session", nil) why("session", "") why("session", "x", { context = "a" })
    for at = 1, #token do
      local changed = token:sub(1, at - 1) .. (token:sub(at, at) == "A" and "B" or "A") .. token:sub(at + 1)
      assert(crypto.open("session", changed, { context = "a" }) == nil)
    end`,
    keys,
  );
  assert.equal(tried, 'forged forged forged forged forged forged ');
  const old = seal('session', [oldSecret], Buffer.from('old'), context, 0).toString();
  const { body } = serveSource(
    `${required} con:puts(crypto.open("session", con:gets(), { context = "user 7" }))`,
    { body: old },
    { keys },
  );
  assert.equal(body, 'old');
});

test('a token expires at its second, and its time cannot be changed', () => {
  const token = seal('k', [newSecret], Buffer.from('text'), context, 1000);
  assert.equal(open('k', [newSecret], token, context, 999)?.toString(), 'text');
  assert.equal(open('k', [newSecret], token, context, 1000), 'expired');
  assert.equal(open('k', [oldSecret], token, context, 1), 'forged');
  const bytes = Buffer.from(token.toString(), 'base64url');
  bytes.writeUIntBE(2000, 5, 6);
  assert.equal(open('k', [newSecret], Buffer.from(bytes.toString('base64url')), context, 999), 'forged');
});

test('a wrong call of seal and open is told', () => {
  assert.match(message('crypto.seal("none", "x")'), /^there is no key of this name/);
  assert.match(message('crypto.seal("none", "x", { expire = 1 })'), /^crypto\.seal has no option expire/);
  assert.match(message('crypto.seal("none", "x", { expires = 0 })'), /^crypto\.seal: expires is a number of seconds/);
  assert.match(message('crypto.open("none", {})'), /^bad argument #2 to 'open'/);
  assert.match(message('crypto.seal("k", "x", 1)'), /^bad argument #3 to 'seal' \(table expected/);
});

test('a password is verified with its hash, whoever wrote it, and never at any price', () => {
  // What a hash of now costs is worth it once: the engines do not make it.
  const made = isEmbedded
    ? 'p.hash("pass\\0word")'
    : '"$scrypt$ln=4,r=8,p=1$c29kaXVtY2hsb3JpZGU$934WvlpR6hXV3Ru3rpYD2A"';
  const body = output(`local p = crypto.password local hash = ${made}
    con:puts(hash, " ", tostring(p.verify("pass\\0word", hash)), tostring(p.verify("pass", hash)), tostring(p.needs_rehash(hash)))
    con:puts(" ", tostring(p.needs_rehash("$scrypt$ln=10,r=8,p=1$c29kaXVtY2hsb3JpZGU$WVL1FEZtsCNMGkvZQRoFkQ")))`);
  assert.match(
    body,
    isEmbedded ? /^\$(argon2id\$v=19|scrypt\$ln=17,r=8,p=1)\$\S+ truefalsefalse true$/ : / truefalsetrue true$/,
  );
  const cheap = '$scrypt$ln=4,r=8,p=1$c29kaXVtY2hsb3JpZGU$';
  assert.equal(output(`con:puts(tostring(crypto.password.verify("x", "${cheap}WVL1FEZtsCNMGkvZQRoFkQ")))`), 'false');
  for (const costly of [
    '$scrypt$ln=31,r=8,p=1$',
    '$scrypt$ln=17,r=999,p=1$',
    '$argon2id$v=19$m=999999999,t=1,p=1$',
    '$argon2id$v=19$m=8,t=9999,p=1$',
  ]) {
    assert.match(
      message(`crypto.password.verify("x", "${costly}c29kaXVtY2hsb3JpZGU$WVL1FEZtsCNMGkvZQRoFkQ")`),
      /^crypto\.password\.verify: the hash of a password asks for more than 256 MiB or 16 passes/,
    );
  }
  for (const bad of ['""', '"x"', '"$2b$10$abc"', '("x"):rep(1e6)']) {
    assert.match(message(`crypto.password.verify("x", ${bad})`), /the hash is none of a password/);
  }
  assert.match(
    message('crypto.password.hash(("x"):rep(5000))'),
    /^crypto\.password\.hash: the password has more than 4096 bytes/,
  );
});
