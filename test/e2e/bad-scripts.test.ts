/** Scripts that cannot be served, or fail: what the client gets, what the log says, and that it costs one request. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { headerValue } from '../support/fcgi-client.js';
import { fetchHttp } from '../support/http.js';
import { startNginx } from '../support/nginx.js';
import { type Server, startServer } from '../support/server.js';
import { ask, shared, type TextAnswer } from '../support/shared.js';
import { asMereUser } from '../support/unprivileged.js';

interface Case {
  readonly name: string;
  readonly script: string;
  /** undefined: the test makes the file itself. */
  readonly text?: string;
  readonly status: number;
  /** What the log says, and the page when errors are shown. */
  readonly detail: RegExp;
}

const main = (body: string): string => `function main(env, con)\n${body}\nend\n`;

const CASES: readonly Case[] = [
  { name: 'that does not exist', script: 'no-such.lua', status: 404, detail: /no script .*no-such\.lua/ },
  { name: 'that is a directory', script: 'directory.lua', status: 404, detail: /directory\.lua is no regular file/ },
  { name: 'below a file', script: 'file.txt/x.lua', status: 404, detail: /no script .*file\.txt\/x\.lua/ },
  {
    name: 'that may not be read',
    script: 'secret.lua',
    text: main(''),
    status: 403,
    detail: /may not be read: EACCES/,
  },
  { name: 'in a locked directory', script: 'locked/in.lua', text: main(''), status: 403, detail: /may not be read/ },
  { name: 'that is empty', script: 'empty.lua', text: '', status: 500, detail: /no global function main/ },
  { name: 'without main', script: 'no-main.lua', text: 'local main', status: 500, detail: /no global function main/ },
  {
    name: 'whose main is a table',
    script: 'table.lua',
    text: 'main = {}',
    status: 500,
    detail: /no global function main/,
  },
  {
    name: 'with a syntax error',
    script: 'syntax.lua',
    text: 'x = = <b>1</b>',
    status: 500,
    detail: /syntax\.lua:1: unexpected symbol near '='/,
  },
  { name: 'that is no Lua', script: 'binary.lua', text: '\0\x7f\x80<\xff', status: 500, detail: /binary\.lua:1: / },
  {
    name: 'that fails while it loads',
    script: 'load.lua',
    text: 'error("at load")',
    status: 500,
    detail: /load\.lua:1: at load/,
  },
  {
    name: 'that fails before its output',
    script: 'fails.lua',
    text: main('local text = "<i>"\nlocal x = nil .. text'),
    status: 500,
    detail: /fails\.lua:3: attempt to concatenate a nil value/,
  },
  {
    name: 'that throws a table',
    script: 'throws-table.lua',
    text: main('error({})'),
    status: 500,
    detail: /error object is a table value/,
  },
  {
    name: 'that throws nil',
    script: 'throws-nil.lua',
    text: main('error(nil)'),
    status: 500,
    detail: /error object is a nil value/,
  },
  {
    name: 'that throws nothing',
    script: 'throws.lua',
    text: main('error()'),
    status: 500,
    detail: /error object is a nil value/,
  },
  {
    name: 'that throws a function',
    script: 'throws-f.lua',
    text: main('error(print)'),
    status: 500,
    detail: /error object is a function value/,
  },
  {
    name: 'that throws a table whose __tostring fails',
    script: 'throws-meta.lua',
    text: main('error(setmetatable({}, { __tostring = function() error({}) end }))'),
    status: 500,
    detail: /__tostring fails/,
  },
  {
    name: 'that recurses for ever',
    script: 'recursion.lua',
    text: main('local function f() return 1 + f() end f()'),
    status: 500,
    detail: /stack overflow/,
  },
  {
    name: 'that needs too much memory',
    script: 'memory.lua',
    text: main('local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end'),
    status: 500,
    detail: /not enough memory/,
  },
  {
    name: 'with a header that breaks lines',
    script: 'crlf.lua',
    text: main('con:header("X-A", "b\\r\\nSet-Cookie: stolen=1")'),
    status: 500,
    detail: /LUAFCGID_RESPONSE_HEADER|bad response header/,
  },
  {
    name: 'with a header that holds LF',
    script: 'lf.lua',
    text: main('con:header("X-A: b\\nX-B: c")'),
    status: 500,
    detail: /its value holds a control character/,
  },
  {
    name: 'with a header that holds NUL',
    script: 'nul.lua',
    text: main('con:header("X-A", "b\\0c")'),
    status: 500,
    detail: /its value holds a control character/,
  },
  {
    name: 'with a header name that breaks lines',
    script: 'name.lua',
    text: main('con:header("X\\r\\nY", "b")'),
    status: 500,
    detail: /bad response header/,
  },
  {
    name: 'with a status that breaks lines',
    script: 'status.lua',
    text: main('con:status("200 OK\\r\\nX: y")'),
    status: 500,
    detail: /no HTTP status/,
  },
  {
    name: 'with a location that breaks lines',
    script: 'location.lua',
    text: main('con:redirect("/\\r\\nX: y")'),
    status: 500,
    detail: /its value holds a control character/,
  },
  {
    name: 'with a status that is none',
    script: 'status-99.lua',
    text: main('con:status(99)'),
    status: 500,
    detail: /no HTTP status: 99/,
  },
  {
    name: 'that puts what is no text',
    script: 'puts.lua',
    text: main('con:puts({})'),
    status: 500,
    detail: /bad argument #1 to 'puts'/,
  },
];

const GOOD = 'n = 0\nfunction main(env, con) n = n + 1 con:puts("good ", n) end';

/** One server for all: a single state, so that nothing that leaks stays unseen. */
async function start(t: Parameters<typeof startServer>[0], showErrors: boolean): Promise<Server> {
  const server = await startServer(t, {
    under: asMereUser(),
    files: {
      'good.lua': GOOD,
      'file.txt': '',
      ...Object.fromEntries(CASES.flatMap(({ script, text }) => (text === undefined ? [] : [[script, text]]))),
    },
    config: `showerrors = ${showErrors} workers = 1 states = 1 clones = 1 queue = 0 memory = 16 * 1024 * 1024`,
  });
  mkdirSync(server.path('directory.lua'));
  chmodSync(server.path('secret.lua'), 0);
  chmodSync(server.path('locked'), 0);
  t.after(() => chmodSync(server.path('locked'), 0o700));
  return server;
}

async function assertGoesOn(server: Server): Promise<void> {
  assert.match((await ask(server, 'good.lua')).text, /^good \d+$/);
}

/** The answer is a whole page that names the request, and the log has a line about it with this text. */
async function assertPage(
  server: Server,
  answer: Pick<TextAnswer, 'text' | 'status'>,
  { status, detail }: Case,
): Promise<void> {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.text, /^<!DOCTYPE html>[\s\S]*<\/html>\n$/);
  const id = /Request ([0-9a-z]+-[0-9a-z]+)</.exec(answer.text)?.[1];
  assert.ok(id, 'the page names its request');
  await server.logged(new RegExp(`\\[${id} [^\\n]*\\] [^\\n]*(?:${detail.source})`));
}

for (const showErrors of [true, false]) {
  describe(`with showerrors = ${showErrors}, a script`, () => {
    const server = shared((t) => start(t, showErrors));
    const nginx = shared((t) =>
      startNginx(t, { fastcgi: server().socket, root: server().scripts, keepConn: showErrors }),
    );

    for (const each of CASES) {
      it(`${each.name} gets a page of status ${each.status}, directly and through nginx`, async () => {
        const direct = await ask(server(), each.script);
        await assertPage(server(), direct, each);
        await assertGoesOn(server());
        const behind = await fetchHttp({ port: nginx().port, path: `/${each.script}` });
        await assertPage(server(), behind, each);
        await assertGoesOn(server());
        for (const { text } of [direct, behind]) {
          const shown = text.replaceAll('&#39;', "'").replaceAll('&lt;', '<');
          if (showErrors) assert.match(shown, each.detail);
          else {
            assert.doesNotMatch(shown, each.detail);
            assert.doesNotMatch(shown, /\.lua|LUAFCGID|traceback|\/tmp/, 'the page tells nothing of the inside');
          }
          assert.ok(!text.includes('<b>1</b>') && !text.includes('"<i>"'), 'source is escaped');
        }
        assert.equal(headerValue(direct.headers, 'set-cookie'), undefined);
        assert.equal(headerValue(direct.headers, 'x-powered-by'), undefined, 'headers of a failed script are dropped');
      });
    }
  });
}
