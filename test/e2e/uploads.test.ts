/** Large uploads: they lie in temporary files without names, and are gone with their request, however it ends (cases/users F14). */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

const SIZE = 12_000_000;
const CONTENT = Buffer.alloc(SIZE, 'luafcgid\n');
const BODY = Buffer.concat([
  Buffer.from('--XX\r\nContent-Disposition: form-data; name="f"; filename="large.bin"\r\n\r\n'),
  CONTENT,
  Buffer.from('\r\n--XX--\r\n'),
]);
const send = (server: Server, script: string) =>
  ask(server, script, { params: { CONTENT_TYPE: 'multipart/form-data; boundary=XX' }, body: BODY });

/** Temporary files that the server has open. */
function uploadsOf(server: Server): number {
  return readdirSync(`/proc/${server.pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${server.pid}/fd/${fd}`).includes('luafcgid-upload-');
    } catch {
      return false;
    }
  }).length;
}

describe('a large upload', { skip: process.platform !== 'linux' && 'looks into /proc' }, () => {
  const server = shared(async (t) => {
    const started = await startServer(t, {
      config: ({ dir }) => {
        mkdirSync(join(dir, 'data'));
        // The state has less memory than the upload has bytes.
        return `workers = 1 memory = 8 * 2^20 maxpost = 2^25
          files = { read = { "data" }, write = { "data" } }`;
      },
      files: {
        'size.lua': `function main(env, con)
          local file, lines, at = con:file("f"), 0, 0
          while true do
            local piece = file:read(100000, at)
            if not piece then break end
            at = at + #piece
            lines = lines + select(2, piece:gsub("\\n", ""))
          end
          con:puts(file.size, " ", at, " ", lines)
        end`,
        'save.lua': 'function main(env, con) con:puts(tostring(con:file("f"):save("../data/kept.bin"))) end',
        'denied.lua': 'function main(env, con) con:puts(tostring(con:file("f"):save("../kept.bin"))) end',
        'fails.lua': 'function main(env, con) con:form() error("no") end',
        'exits.lua': 'function main(env, con) con:form() os.exit(0) end',
        'hangs.lua':
          'function main(env, con) con:form() con:config("watchdog", 1) string.rep("a", 40):find(("a?"):rep(40) .. ("a"):rep(40)) end',
      },
    });
    return started;
  });

  it('is read in pieces, with less memory than it has', async () => {
    assert.equal((await send(server(), 'size.lua')).text, `${SIZE} ${SIZE} ${Math.floor(SIZE / 9)}`);
  });

  it('is saved where the script may write, and nowhere else', async () => {
    assert.equal((await send(server(), 'save.lua')).text, 'true');
    assert.ok(readFileSync(join(server().dir, 'data/kept.bin')).equals(CONTENT));
    assert.equal((await send(server(), 'denied.lua')).text, 'nil');
  });

  it('is gone when its request is over, whatever ends it', async () => {
    for (const [script, status] of [
      ['size.lua', 200],
      ['fails.lua', 500],
      ['exits.lua', 200],
      ['hangs.lua', 504],
    ] as const) {
      assert.equal((await send(server(), script)).status, status, script);
      await eventually(`the end of the upload of ${script}`, () => uploadsOf(server()) === 0);
    }
  });
});
