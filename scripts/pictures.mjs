// Makes the pictures of docs/pictures from the running program: the error page, and the status page of a server at work.
// Needs Chromium: `npm run pictures`.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const OUT = resolve('docs/pictures');
const PROGRAM = resolve('bin/luafcgid');
const WINDOW = { width: 960, height: 600 };
/** The status page draws what it has seen since it was opened. */
const WATCHED_MS = 12_000;
const LOAD_MS = 20_000;

const folder = mkdtempSync(join(tmpdir(), 'luafcgid-pictures-'));
/** @type {import('node:child_process').ChildProcess[]} */
const running = [];
process.on('exit', () => {
  for (const child of running) child.kill();
  rmSync(folder, { recursive: true, force: true });
});

mkdirSync(OUT, { recursive: true });
mkdirSync(join(folder, 'site'));
writeFileSync(
  join(folder, 'site/notes.lua'),
  `local store = require("store")

function main(env, con)
  con:puts("<h1>Notes</h1>")
  for _, note in ipairs(store.notes_of(con:query().author)) do
    con:puts("<p>", note.text, "</p>")
  end
end
`,
);
writeFileSync(
  join(folder, 'site/store.lua'),
  `local notes = { ada = { { text = "It is raining" } } }

local M = {}

function M.notes_of(author)
  local found = notes[author]
  return #found > 0 and found or {}
end

return M
`,
);
writeFileSync(join(folder, 'config.lua'), `status = "127.0.0.1:0" slowtime = 1\n`);
writeFileSync(join(folder, 'site/quick.lua'), 'function main(env, con) con:puts("quick") end\n');
writeFileSync(
  join(folder, 'site/report.lua'),
  'local luafcgid = require("luafcgid")\nfunction main(env, con) luafcgid.sleep(0.5 + math.random()) con:puts("done") end\n',
);

const { port, statusPort } = await serve();
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-sync'],
});
await picture(`http://127.0.0.1:${port}/notes.lua?author=bob`, 'error.png', 0);
const isOver = load(port);
await picture(`http://127.0.0.1:${statusPort}/`, 'status.png', WATCHED_MS);
await isOver;
await browser.close();
process.exit(0);

/** @returns {Promise<{port: number, statusPort: number}>} */
function serve() {
  const args = [PROGRAM, 'serve', 'site', '--port', '0', '--config', 'config.lua'];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  return new Promise((done, fail) => {
    let text = '';
    const read = (/** @type {Buffer} */ bytes) => {
      text += bytes;
      const http = /http +http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
      const status = /status\D+127\.0\.0\.1:(\d+)/.exec(text)?.[1];
      if (http !== undefined && status !== undefined) done({ port: Number(http), statusPort: Number(status) });
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('exit', () => fail(new Error(`the server ended:\n${text}`)));
  });
}

/** Requests of several clients for a while. @param {number} port */
async function load(port) {
  const end = Date.now() + LOAD_MS;
  const ask = (/** @type {string} */ path) =>
    new Promise((done) =>
      http.get({ port, path, agent: false }, (answer) => answer.resume().on('end', done)).on('error', done),
    );
  const client = async (/** @type {string} */ path, /** @type {number} */ pauseMs) => {
    while (Date.now() < end) {
      await ask(path);
      await new Promise((done) => setTimeout(done, pauseMs));
    }
  };
  await Promise.all([
    ...Array.from({ length: 3 }, () => client('/quick.lua', 20)),
    ...Array.from({ length: 4 }, () => client('/report.lua?month=11', 10)),
    client('/notes.lua?author=bob', 400),
    client('/notes.lua?author=ada', 100),
  ]);
}

/** @param {string} url @param {string} name @param {number} afterMs */
async function picture(url, name, afterMs) {
  const page = await browser.newPage({ viewport: WINDOW });
  await page.goto(url);
  await new Promise((done) => setTimeout(done, afterMs));
  await page.screenshot({ path: join(OUT, name) });
  await page.close();
}
