/** A configuration of luafcgid2 becomes one of this server (issue 14, point 8). */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LuafcgidError } from '../../src/base/errors.js';
import { convertLuafcgid2, loadConfig } from '../../src/config/load.js';
import { createEngine, prepareEngine } from '../../src/lua/engine.js';

const engine = createEngine(prepareEngine('2.0.0'));

function inFile<T>(source: string, use: (file: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), 'lfd-'));
  try {
    const file = join(dir, 'config.lua');
    writeFileSync(file, source);
    return use(file);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const convert = (source: string): string => inFile(source, (file) => convertLuafcgid2(file, engine));

test('settings get the names and the places that they have here, and what has no meaning is listed', () => {
  const converted = convert(`WorkerThreads = 4 LuaStates = 1 LuaMaxStates = 6 HeadersSize = 128 MinFileInfoTime = 5000
    SessionName = "XLuaSession" SessionTime = 3600 SessionCookieSecure = true SessionCookieSameSite = "Lax" SessionIpScore = 3
    DefaultHeaders = "X-Powered-By: luafcgid2\\r\\n" DefaultHttpStatus = "200 OK" DefaultContentType = "text/html" MaxPostSize = 1048576
    listen = "127.0.0.1:9001" entrypoint = "page" mine = 5
    Config = { entrypoint = entrypoint, title = "caf\\195\\169", list = { "a", 2 } }`);
  assert.equal(
    converted,
    `-- What luafcgid2 was told, for this server. Scripts run by the adapter luafcgid2.
handler = "luafcgid2"
listen = "127.0.0.1:9001"
workers = 4
clones = 6
sweep = 5000
maxpost = 1048576
httpstatus = "200 OK"
contenttype = "text/html"
headers = "X-Powered-By: luafcgid2"
sessions = { ["store"] = "memory", ["name"] = "XLuaSession", ["idle"] = 3600, ["secure"] = true, ["samesite"] = "Lax" }
app = { ["title"] = "caf\u00e9", ["list"] = { "a", 2 }, ["entrypoint"] = "page" }

-- Not taken over:
--   HeadersSize: buffers grow by themselves
--   LuaStates: states are made when they are needed
--   SessionIpScore: see SessionTargetScore
--   mine: it is no setting of luafcgid2
`,
  );
});

test('what comes out is a configuration that this server takes', () => {
  const converted = convert(
    'WorkerThreads = 2 SessionName = "S" SessionTime = 60 DefaultHeaders = "X-A: 1\\r\\n" Config = { a = 1 }',
  );
  const { config } = inFile(converted, (file) => loadConfig(file, {}, engine));
  assert.deepEqual([config.handler, config.workers, config.sessions.name], ['luafcgid2', 2, 'S']);
});

test('a file that is no configuration is told', () => {
  for (const source of ['x = = 1', 'error("broken")']) {
    assert.throws(
      () => convert(source),
      (error) => error instanceof LuafcgidError && error.code === 'LUAFCGID_CONVERT_FILE',
    );
  }
  assert.throws(() => convertLuafcgid2('/nonexistent/config.lua', engine), /could not be converted: ENOENT/);
});
