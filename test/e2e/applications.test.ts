/** Making an application and testing it: `luafcgid new`, `luafcgid test` and the module `luafcgid.test`. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { runCommand } from '../support/server.js';

const ENGINES = ['embedded', 'lua5.1', 'lua5.4', 'luajit'];

/** A page that greets, remembers, logs and fails. */
const PAGE = `
function main(env, con)
  print("asked by " .. env.REQUEST_METHOD)
  if con:query().fail then error("boom") end
  if env.REQUEST_METHOD == "POST" then
    con:cookie("seen", "yes")
    con:puts(con:form() and con:form().name)
  elseif env.REQUEST_METHOD == "PUT" then
    con:type("application/json") con:puts(con:gets())
  else
    con:puts("Hello, ", con:query().name or "nobody", ", ", con:cookies().seen or "no cookie")
  end
end`;

async function runTests(t: TestContext, files: Readonly<Record<string, string>>, ...args: string[]) {
  const cwd = tempDir(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(cwd, name, '..'), { recursive: true });
    writeFileSync(join(cwd, name), text);
  }
  return runCommand(['test', ...args], { cwd });
}

describe('luafcgid new', () => {
  it('makes an application whose tests pass, whose configuration is valid, and which has its name', async (t) => {
    const cwd = tempDir(t);
    const made = await runCommand(['new', 'notes'], { cwd });
    assert.deepEqual([made.code, made.stderr], [0, '']);
    assert.match(made.stdout, /luafcgid serve public --config config\.lua/);
    const app = join(cwd, 'notes');
    assert.match(readFileSync(join(app, 'views/index.etlua'), 'utf8'), /<title>notes<\/title>/);
    const tests = await runCommand(['test'], { cwd: app });
    assert.match(tests.stdout, /^test\/index_test\.lua\n {2}ok .*\n {2}ok .*\n2 passed, 0 failed, in [\d.]+ s\n$/);
    assert.deepEqual([tests.code, tests.stderr], [0, '']);
    assert.equal((await runCommand(['check', 'config.lua'], { cwd: app })).code, 0);
  });

  it('changes nothing where there are files, or where the name is none', async (t) => {
    const cwd = tempDir(t);
    writeFileSync(join(cwd, 'mine'), '');
    for (const [name, code] of [
      ['.', 'LUAFCGID_NEW_FOLDER'],
      ['mine', 'LUAFCGID_NEW_FOLDER'],
      ['two words', 'LUAFCGID_NEW_NAME'],
      ['..', 'LUAFCGID_NEW_'],
    ] as const) {
      const run = await runCommand(['new', name], { cwd });
      assert.deepEqual([run.code, run.stdout], [1, ''], name);
      assert.match(run.stderr, new RegExp(code));
    }
    assert.deepEqual(readdirSync(cwd), ['mine']);
  });
});

describe('luafcgid test', () => {
  for (const engine of ENGINES) {
    it(`requests pages, keeps cookies, and tells what failed and where (${engine})`, async (t) => {
      const tests = `
        local test = require("luafcgid.test")
        test("greets", function()
          local answer = test.get("/page.lua?a=b", { query = { name = "Ada & Ä" }, headers = { ["X-Y"] = "z" } })
          test.equal({ answer.status, answer.body, answer.log }, { 200, "Hello, Ada & Ä, no cookie", { "info: asked by GET" } })
          test.match(answer.headers["content-type"], "^text/html")
        end)
        test("remembers", function()
          test.equal(test.post("/page.lua", { form = { name = "x\\ny+z" } }).body, "x\\ny+z")
          test.match(test.get("/page.lua").body, "yes$")
        end)
        test("forgets", function() test.match(test.get("/page.lua").body, "no cookie$") end)
        test("takes JSON and bytes", function()
          test.equal(test.request("PUT", "/page.lua", { json = { a = { 1, 2 } } }):json(), { a = { 1, 2 } })
          local bytes = ("\\0\\n\\255"):rep(1000)
          test.equal(test.request("PUT", "/page.lua", { body = bytes }).body, bytes)
        end)
        test("sees faults", function()
          local answer = test.get("/page.lua?fail=1")
          test.equal(answer.status, 500)
          test.match(table.concat(answer.log, " "), "boom")
          test.equal(test.get("/nothing.lua").status, 404)
          test.fails(function() test.get("page.lua") end, "begins with /")
          test.fails(function() test.get("/", { bdy = "" }) end, "not bdy")
          test.fails(function() test.get("/", { headers = { A = "b\\r\\nC: d" } }) end, "more than one line")
        end)
        test("differs", function() test.equal({ a = { 1, 2 } }, { a = { 1, 3 } }) end)
        test("breaks", function() error("on purpose") end)`;
      const run = await runTests(t, { 'page.lua': PAGE, 'page_test.lua': tests }, '--engine', engine);
      assert.match(
        run.stdout,
        new RegExp(
          '^page_test\\.lua\\n' +
            ['greets', 'remembers', 'forgets', 'takes JSON and bytes', 'sees faults']
              .map((n) => `  ok {6}${n}\\n`)
              .join('') +
            '  FAILED {2}differs\\n {10}\\S+page_test\\.lua:27: at \\["a"\\]\\[2\\]: expected 3, got 2\\n' +
            '  FAILED {2}breaks\\n {10}\\S+page_test\\.lua:28: on purpose\\n' +
            '5 passed, 2 failed, in [\\d.]+ s\\n$',
        ),
      );
      assert.deepEqual([run.code, run.stderr], [1, '']);
    });
  }

  it('goes on after a file that cannot be loaded, or has no tests, and takes the configuration of the folder', async (t) => {
    const run = await runTests(t, {
      'config.lua': 'httpstatus = "202 Accepted" root = "public" showerrors = false',
      'public/index.lua': 'function main(env, con) con:puts("front") end',
      'a_test.lua': 'x = = 1',
      'b_test.lua': 'function main(env, con) con:puts("a page") end',
      'deep/c_test.lua': `local test = require("luafcgid.test")
        test("is the site", function() test.equal(test.get("/").status, 202) end)`,
      '.hidden/d_test.lua': 'x = = 1',
    });
    const [a, failed, reason, log, b, none, told, c, passed] = run.stdout.split('\n');
    assert.deepEqual([a, b, c], ['a_test.lua', 'b_test.lua', 'deep/c_test.lua']);
    assert.match(
      `${failed}${reason}${log}`,
      /FAILED {2}loading the file.*cannot be loaded.*a_test\.lua:1: unexpected symbol/,
    );
    assert.match(`${none}${told}`, /FAILED {2}loading the file.*it has no tests/);
    assert.match(passed ?? '', /ok {6}is the site/);
    assert.equal(run.code, 1);
  });

  it('says that there is no test file', async (t) => {
    const run = await runTests(t, { 'page.lua': PAGE });
    assert.deepEqual([run.code, run.stdout], [1, '']);
    assert.match(run.stderr, /no test file below .*: there is none\n.*_test\.lua.*\[LUAFCGID_TEST_FILES\]/);
  });
});
