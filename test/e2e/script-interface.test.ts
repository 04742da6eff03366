/** What scripts can do, through the wire: bytes, `con`, logs, modules, settings. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { headerValue, headerValues } from '../support/fcgi-client.js';
import { startServer } from '../support/server.js';
import { ask, shared } from '../support/shared.js';

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
/** All that a header may hold. */
const HEADER_BYTES = ALL_BYTES.filter((value) => ![0, 10, 13].includes(value));

const main = (body: string): string => `function main(env, con)\n${body}\nend\n`;

describe('bytes', () => {
  const server = shared((t) =>
    startServer(t, {
      files: {
        'echo.lua': main('con:type("application/octet-stream") con:puts(con:gets())'),
        'param.lua': main('con:puts(#env.HTTP_BYTES, ":", env.HTTP_BYTES)'),
        'names.lua': main(`
          local names = {}
          for name in pairs(env) do if #name == 1 then names[#names + 1] = name end end
          table.sort(names)
          con:puts(table.concat(names))`),
        'header.lua': main('con:header("X-Bytes", con:gets())'),
        'make.lua': main('for i = 0, 255 do con:puts(string.char(i)) end'),
        'b\u00fcro \u{1f600}.lua': main('con:puts(env.SCRIPT_FILENAME)'),
      },
    }),
  );

  it('of a body come back as they were, in one piece or many', async () => {
    for (const body of [ALL_BYTES, Buffer.concat(Array.from({ length: 3000 }, () => ALL_BYTES))]) {
      assert.ok((await ask(server(), 'echo.lua', { body })).body.equals(body));
    }
  });

  it('of a parameter come back as they were, NUL included', async () => {
    const { body } = await ask(server(), 'param.lua', { params: { HTTP_BYTES: ALL_BYTES } });
    assert.ok(body.equals(Buffer.concat([Buffer.from('256:'), ALL_BYTES])));
  });

  it('of parameter names come back as they were', async () => {
    const params = Object.fromEntries([...HEADER_BYTES].map((value) => [String.fromCharCode(value), 'x']));
    const { body } = await ask(server(), 'names.lua', { params });
    assert.deepEqual([...body], [...HEADER_BYTES]);
  });

  it('of a header value go out as they are, but control characters', async () => {
    const bytes = HEADER_BYTES.filter((value) => value === 9 || (value >= 32 && value !== 127));
    const value = Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')]);
    const answer = await ask(server(), 'header.lua', { body: value });
    assert.equal(headerValue(answer.headers, 'x-bytes'), value.toString('latin1'));
  });

  it('of output go out as they are', async () => {
    assert.ok((await ask(server(), 'make.lua')).body.equals(ALL_BYTES));
  });

  it('of a file name find the file', async () => {
    const path = Buffer.from(server().path('b\u00fcro \u{1f600}.lua')).toString('latin1');
    assert.equal((await ask(server(), path)).body.toString('latin1'), path);
  });
});

describe('con', () => {
  const server = shared((t) => startServer(t, { config: 'contenttype = "text/plain"' }));
  let pages = 0;
  const run = (body: string, options?: Parameters<typeof ask>[2]) => {
    pages += 1;
    const name = `page-${pages}.lua`;
    server().write(name, main(body));
    return ask(server(), name, options);
  };
  it('puts strings and numbers, any number of them', async () => {
    const { text } = await run('con:puts("a", 1, 2.5, -0.25, 1e100, "") con:puts() con:puts(2^53)');
    assert.equal(text, 'a12.5-0.251e+1009.007199254741e+15');
  });

  it('sets status, type and headers; the special ones replace what was set', async () => {
    const answer = await run(`
      con:header("X-One: 1") con:header("X-One", "2") con:header("x-number", 3)
      con:header("Status", "201 Made") con:header("Content-Type: text/x-a") con:header("Content-Type", "text/x-b")`);
    assert.deepEqual([answer.status, answer.reason], [201, 'Made']);
    assert.deepEqual(headerValues(answer.headers, 'content-type'), ['text/x-b']);
    assert.deepEqual(headerValues(answer.headers, 'x-one'), ['1', '2']);
    assert.equal(headerValue(answer.headers, 'X-Number'), '3');
    assert.equal((await run('con:status(404)')).reason, 'Not Found');
    assert.equal((await run('con:status("418 Short and stout")')).reason, 'Short and stout');
    assert.equal(headerValue((await run('con:type("image/x")')).headers, 'content-type'), 'image/x');
  });

  it('redirects', async () => {
    const location = await run('con:header("Location", "/elsewhere")');
    assert.deepEqual([location.status, headerValue(location.headers, 'location')], [302, '/elsewhere']);
    const redirect = await run('con:redirect("https://example.org/?a=b&c", 303)');
    assert.deepEqual([redirect.status, headerValue(redirect.headers, 'location')], [303, 'https://example.org/?a=b&c']);
  });

  it('sets cookies', async () => {
    const { headers } = await run('con:cookie("a", "x; y\\n", { path = "/", httponly = true }) con:cookie("b", 2)');
    const cookies = headerValues(headers, 'set-cookie');
    assert.equal(cookies.length, 2);
    assert.match(cookies[0]!, /^a=x%3B%20y%0A; Path=\/.*HttpOnly/);
    assert.equal(cookies[1], 'b=2');
  });

  it('reads the body whole, in pieces, and to its end', async () => {
    const body = 'abcdefghij';
    assert.equal((await run('con:puts(con:gets()) con:puts(tostring(con:gets()))', { body })).text, 'abcdefghijnil');
    const pieces = 'for piece in function() return con:gets(4) end do con:puts("[", piece, "]") end';
    assert.equal((await run(pieces, { body })).text, '[abcd][efgh][ij]');
    assert.equal((await run('con:puts(con:gets(3), "+", con:gets())', { body })).text, 'abc+defghij');
    assert.equal((await run('con:puts(tostring(con:gets()))')).text, 'nil');
  });

  it('parses query, form and cookies', async () => {
    const { text } = await run(
      `local q, f, c = con:query(), con:form(), con:cookies()
      con:puts(q.a, "|", q.b[1], q.b[2], "|", q.flag, "|", q.eq, "|", f.word, "|", c.id)`,
      {
        body: 'word=b%C3%BCro+x',
        params: {
          QUERY_STRING: 'a=1&b=2&b=3&flag&eq=x=y==',
          CONTENT_TYPE: 'application/x-www-form-urlencoded',
          HTTP_COOKIE: 'id=42; other="q"',
        },
      },
    );
    assert.equal(text, '1|23||x=y==|b\u00fcro x|42');
  });

  it('resets body, headers and status', async () => {
    const answer = await run(`
      con:status(500) con:header("X-Gone", "1") con:type("a/b") con:puts("gone")
      con:reset()
      con:puts("kept")`);
    assert.deepEqual([answer.status, answer.text], [200, 'kept']);
    assert.equal(headerValue(answer.headers, 'x-gone'), undefined);
    assert.equal(headerValue(answer.headers, 'content-type'), 'text/plain');
  });

  it('finds it an error to change what was sent', async () => {
    for (const call of ['con:header("A", "b")', 'con:status(404)', 'con:reset()', 'con:redirect("/")']) {
      const { status, text } = await run(
        `con:puts("sent") con:flush() con:puts(tostring(pcall(function() ${call} end)))`,
      );
      assert.deepEqual([status, text], [200, 'sentfalse'], call);
    }
  });

  it('answers HEAD with the headers of GET and no body', async () => {
    const body = 'con:header("X-Length", 5) con:puts("hello") con:flush() con:puts("again")';
    const head = await run(body, { method: 'HEAD' });
    assert.deepEqual([head.status, head.body.length, headerValue(head.headers, 'x-length')], [200, 0, '5']);
    for (const status of [204, 304]) assert.equal((await run(`con:status(${status}) ${body}`)).body.length, 0);
  });

  it('leaves out headers that belong to the web server, and says so', async () => {
    const answer = await run(
      'con:header("Connection", "close") con:header("Transfer-Encoding: chunked") con:puts("ok")',
    );
    assert.equal(answer.text, 'ok');
    for (const name of ['connection', 'transfer-encoding']) assert.equal(headerValue(answer.headers, name), undefined);
    await server().logged(/header Transfer-Encoding left out/);
  });

  it('lets a script read settings, and change three of them for one request', async () => {
    const { status, text, headers } = await run(`
      con:puts(con:config("handler"), " ", tostring(con:config("states")), " ", tostring(con:config("buffering")))
      con:config("httpstatus", "202 Taken") con:config("contenttype", "text/x-c")
      con:puts(" ", con:config("httpstatus"), " ", tostring(con:config("no_such")))
      con:puts(" ", tostring(pcall(con.config, con, "workers", 9)))`);
    assert.deepEqual([status, headerValue(headers, 'content-type')], [202, 'text/x-c']);
    assert.equal(text, 'main 64 true 202 Taken nil false');
    assert.equal((await run('con:puts("next")')).status, 200);
  });

  it('logs once for each folder that no file of it is loaded, however many names are tried (users D10)', async () => {
    server().write(
      'elsewhere.lua',
      main(`
        package.path = "/elsewhere/?.lua;/elsewhere/?/init.lua;/other/?.lua"
        for i = 1, 5 do pcall(require, "module" .. i) end
        con:puts("tried")`),
    );
    assert.equal((await ask(server(), 'elsewhere.lua')).text, 'tried');
    await server().logged(/\/other\/module1\.lua was not loaded, nor is any other file of its folder/);
    assert.equal(server().log().split('/elsewhere/module1.lua was not loaded').length, 2);
    assert.doesNotMatch(server().log(), /module[2-5]\.lua was not loaded/);
  });

  it('logs text as data, with the name of the request and of the script', async () => {
    await run('con:log("%s%n%d 100% \\27[31m") con:log("warn", "second\\nline")', {});
    await server().logged(/ info +\[[0-9a-z]+-[0-9a-z]+ [^\]\n]*page-\d+\.lua\] %s%n%d 100% \\x1b\[31m\n/);
    await server().logged(/ warn +\[[0-9a-z]+-[0-9a-z]+ [^\]\n]*\] second\n +line\n/);
  });

  it('prints to the log, never into the answer', async () => {
    const { text } = await run(
      'print("printed", 1, nil, true) io.write("written\\n") io.stderr:write("error text\\n")',
    );
    assert.equal(text, '');
    await server().logged(/printed\t1\tnil\ttrue/);
    await server().logged(/written/);
    await server().logged(/error text/);
  });

  it('goes on after finish, while the client has its answer', async () => {
    server().write(
      'finish.lua',
      main('con:puts("answer") con:finish() while not loadfile("go-on.lua") do end con:log("after the answer")'),
    );
    assert.equal((await ask(server(), 'finish.lua')).text, 'answer');
    assert.doesNotMatch(server().log(), /after the answer/);
    server().write('go-on.lua', '');
    await server().logged(/after the answer/);
  });
});

describe('os.exit', () => {
  it('ends its request only, keeps the output and the state, and tells its code', async (t) => {
    const server = await startServer(t, {
      files: {
        'exit.lua': `count = 0
          function main(env, con)
            count = count + 1
            con:puts("before ", count)
            if env.QUERY_STRING == "pcall" then pcall(os.exit, 3)
            elseif env.QUERY_STRING == "coroutine" then coroutine.wrap(function() os.exit(4) end)()
            elseif env.QUERY_STRING == "flush" then con:flush() os.exit(true)
            else os.exit(5) end
            con:puts("never")
          end`,
        'at-load.lua': 'os.exit(1)',
      },
      config: 'workers = 1 states = 1',
    });
    const exits = ['', 'pcall', 'coroutine', 'flush'];
    for (const [index, QUERY_STRING] of exits.entries()) {
      const answer = await ask(server, 'exit.lua', { params: { QUERY_STRING } });
      assert.deepEqual(
        [answer.status, answer.text, answer.appStatus],
        [200, `before ${index + 1}`, [5, 3, 4, 0][index]],
        QUERY_STRING,
      );
    }
    assert.equal((await ask(server, 'at-load.lua')).status, 500);
    assert.equal((await ask(server, 'exit.lua')).text, 'before 1');
  });
});

describe('modules and settings', () => {
  const server = shared((t) =>
    startServer(t, {
      files: {
        '../lib/common.lua': 'return { name = "common of path" }',
        '../lib/both.lua': 'return "path"',
        '../preload.lua': 'function helper(text) return "<" .. text .. ">" end',
        'site/both.lua': 'return "beside"',
        'site/sub/init.lua': 'return "sub of " .. ...',
        'site/data.lua': 'value = (value or 0) + 1 return value',
        'site/page.lua': `
          package.path = package.path .. ";./?/init.lua"
          function serve(env, con)
            con:puts(require("common").name, ",", require("both"), ",", require("sub"), ",",
              dofile("data.lua"), dofile("data.lua"), ",", helper("x"), ",", require("luafcgid").escape("<&>"))
          end`,
        'site/outside.lua': 'function serve(env, con) con:puts(tostring(loadfile("/etc/hostname"))) end',
        'site/main-only.lua': 'function main() end',
        'site/unbuffered.lua': 'function serve(env, con) con:puts("a") con:header("X", "y") end',
      },
      config: ({ dir }) => `
        path = ${JSON.stringify(`${dir}/lib/?.lua`)}
        preload = "preload.lua" handler = "serve" buffering = false
        headers = "X-Common: yes\\r\\nX-Second: 2\\n" httpstatus = "203 Changed" contenttype = "text/x-d"`,
    }),
  );

  it('are found beside the script first, then on the path; dofile runs each time; preload comes before', async () => {
    const { text } = await ask(server(), 'site/page.lua');
    assert.equal(text, 'common of path,beside,sub of sub,12,<x>,&lt;&amp;&gt;');
  });

  it('lie in the directories that were granted, nowhere else', async () => {
    assert.equal((await ask(server(), 'site/outside.lua')).text, 'nil');
    await server().logged(/hostname was not loaded/);
  });

  it('set handler, headers, status, type and buffering of all scripts', async () => {
    const answer = await ask(server(), 'site/page.lua');
    assert.deepEqual([answer.status, answer.reason], [203, 'Changed']);
    for (const [name, value] of [
      ['X-Common', 'yes'],
      ['X-Second', '2'],
      ['Content-Type', 'text/x-d'],
    ] as const) {
      assert.equal(headerValue(answer.headers, name), value);
    }
    assert.equal((await ask(server(), 'site/main-only.lua')).status, 500);
    await server().logged(/LUAFCGID_SCRIPT_NO_HANDLER.*serve/);
    assert.equal((await ask(server(), 'site/unbuffered.lua')).text, 'a');
    await server().logged(/LUAFCGID_RESPONSE_SENT.*con:header after the headers were sent/);
  });
});
