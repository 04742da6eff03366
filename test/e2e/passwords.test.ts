/** Hashes of passwords, which take long: another thread makes them, and the request waits (issue 14, data-access 1.7). */
import assert from 'node:assert/strict';
import { scryptSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

/** A hash of "known" that takes no time. */
const salt = Buffer.alloc(16, 1);
const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
const QUICK = `$scrypt$ln=4,r=8,p=1$${base64(salt)}$${base64(scryptSync('known', salt, 32, { N: 16, r: 8, p: 1 }))}`;

const SCRIPT = `
local luafcgid, password = require("luafcgid"), require("luafcgid.crypto").password
local quick = "${QUICK}"
local at_load = password.verify("known", quick)
function main(env, con)
  local order, hash, same = {}, nil, nil
  local function note(name) order[#order + 1] = name end
  luafcgid.all(
    function() hash = password.hash("correct horse") note("hash") end,
    function() same = password.verify("known", quick) note("verify") end,
    function() note("others") end
  )
  con:puts(order[1], " ", #order, " ", tostring(at_load), tostring(same), tostring(password.verify("wrong", quick)), " ")
  con:puts(tostring(password.needs_rehash(hash)), tostring(password.needs_rehash(quick)), " ")
  con:puts(select(2, pcall(password.verify, "x", "no hash")))
  -- Where Lua 5.1 cannot be suspended the worker waits.
  table.sort({ 2, 1 }, function(a, b) same = password.verify("known", quick) return a < b end)
  con:puts(" ", tostring(same))
end`;

describe('hashes of passwords', () => {
  for (const [engine, isolation] of [
    ['embedded', 'isolation = "request"'],
    ['lua5.1', ''],
  ] as const) {
    it(`are made while others go on, with ${engine}`, async (t) => {
      const server = await startServer(t, {
        files: { 'a.lua': SCRIPT },
        config: `workers = 1 clones = 2 watchdog = 120 engine = "${engine}" ${isolation}`,
      });
      const { status, text } = await ask(server, 'a.lua');
      assert.equal(status, 200, text);
      assert.match(text, /^others 3 truetruefalse falsetrue .*the hash is none of a password.* true$/);
    });
  }
});
