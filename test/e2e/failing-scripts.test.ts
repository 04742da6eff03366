/** How scripts fail, in detail: what of an answer is kept, what of a state, and what a script cannot keep for later. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { headerValue } from '../support/fcgi-client.js';
import { startServer } from '../support/server.js';
import { ask, shared } from '../support/shared.js';

const main = (body: string): string => `function main(env, con)\n${body}\nend\n`;

describe('a failing script', () => {
  const server = shared((t) => startServer(t, { config: 'workers = 1 states = 1 clones = 1' }));

  it('shows the lines around the fault, and the way there', async () => {
    const lines = Array.from({ length: 30 }, (_, index) => `-- line ${index + 1}`);
    lines[9] = 'local function inner() error("deep <fault>") end';
    lines[19] = 'function main() inner() return 1 end';
    server().write('deep.lua', lines.join('\n'));
    const { text } = await ask(server(), 'deep.lua');
    for (const part of [
      'deep.lua:10: deep &lt;fault&gt;',
      '<mark>',
      '-- line 9',
      '-- line 11',
      'in function &#39;inner&#39;',
      'deep.lua:20',
      '-- line 25',
    ]) {
      assert.ok(text.includes(part), `${part} in ${text}`);
    }
    assert.ok(!text.includes('-- line 26'));
  });

  it('shows local variables and the request, and no secrets: users.md section 3', async () => {
    server().write(
      'locals.lua',
      'local function pay(amount, card_token)\n  local fee = amount / 4\n  error("declined")\n  return fee\nend\nfunction main(env) pay(8, ("terc3s"):reverse()) return 1 end',
    );
    const params = { HTTP_COOKIE: 'id=s3cret', HTTP_USER_AGENT: 'agent 7', QUERY_STRING: 'password=s3cret&a=b' };
    const { text } = await ask(server(), 'locals.lua', { params });
    for (const part of [
      '<th>fee</th><td>2',
      '<th>card_token</th><td>(hidden)',
      '<td>agent 7',
      'password=(hidden)&amp;a=b',
    ]) {
      assert.ok(text.includes(part), `${part} in ${text}`);
    }
    assert.doesNotMatch(text, /s3cret/);
  });

  it('after output that is not sent yet still gets an error page, without what it had set', async () => {
    server().write(
      'late.lua',
      main('con:header("X-Gone", "1") con:status(201) con:puts("half a ", "page") error("late")'),
    );
    const answer = await ask(server(), 'late.lua');
    assert.equal(answer.status, 500);
    assert.equal(headerValue(answer.headers, 'x-gone'), undefined);
    assert.ok(!answer.text.includes('half a page'));
  });

  it('after its headers are sent ends where it is, with the detail for a reader of HTML', async () => {
    server().write('flushed.lua', main('con:puts("half a page") con:flush() con:puts(" more") error("late <b>")'));
    const answer = await ask(server(), 'flushed.lua');
    assert.equal(answer.status, 200);
    assert.match(answer.text, /^half a page more\n<hr>[\s\S]*late &lt;b&gt;/);
    assert.notEqual(answer.appStatus, 0);
    server().write('plain.lua', main('con:type("text/plain") con:puts("half a page") con:flush() error("late")'));
    assert.equal((await ask(server(), 'plain.lua')).text, 'half a page');
  });

  it('keeps its state: what was counted stays counted', async () => {
    server().write(
      'count.lua',
      'n = 0\nfunction main(env, con) n = n + 1 if n % 2 == 0 then error("even") end con:puts(n) end',
    );
    const texts = [];
    for (let round = 0; round < 5; round += 1) texts.push((await ask(server(), 'count.lua')).status);
    assert.deepEqual(texts, [200, 500, 200, 500, 200]);
    assert.equal((await ask(server(), 'count.lua')).status, 500);
    assert.equal((await ask(server(), 'count.lua')).text, '7');
  });

  it('that throws a thousand times leaks nothing into its state', async () => {
    server().write(
      'leak.lua',
      'n = 0\nfunction main(env, con) n = n + 1 if env.QUERY_STRING == "" then error({ n }) end con:puts(n) end',
    );
    for (let round = 0; round < 1000; round += 1) assert.equal((await ask(server(), 'leak.lua')).status, 500);
    assert.equal((await ask(server(), 'leak.lua', { params: { QUERY_STRING: 'x' } })).text, '1001');
  });
});

describe('a script that returns nothing or keeps what it should not', () => {
  const server = shared((t) => startServer(t, { config: 'workers = 2 states = 2 clones = 1' }));

  it('gets an empty page when it does nothing', async () => {
    server().write('nothing.lua', main('return'));
    const answer = await ask(server(), 'nothing.lua');
    assert.deepEqual([answer.status, answer.text, headerValue(answer.headers, 'content-type')], [200, '', 'text/html']);
    server().write('values.lua', main('return "ignored", 42'));
    assert.equal((await ask(server(), 'values.lua')).text, '');
  });

  it('cannot use a kept con in a later request', async () => {
    server().write(
      'kept.lua',
      `function main(env, con)
        if not kept then kept = con con:puts("kept") return end
        for _, method in ipairs { "puts", "header", "flush", "gets", "log", "finish", "reset", "status", "config" } do
          local ok, message = pcall(kept[method], kept, "x")
          con:puts(method, " ", tostring(ok), " ", (message:match("the request of this con is over") or message), "\\n")
        end
      end`,
    );
    assert.equal((await ask(server(), 'kept.lua')).text, 'kept');
    const { text } = await ask(server(), 'kept.lua');
    const lines = text.trimEnd().split('\n');
    assert.equal(lines.length, 9, text);
    for (const line of lines) assert.match(line, /^\w+ false the request of this con is over$/);
  });

  it('cannot use a kept con in a coroutine that goes on later', async () => {
    server().write(
      'coroutine.lua',
      `function main(env, con)
        if not routine then
          routine = coroutine.create(function() while true do con:puts("from the coroutine ") coroutine.yield() end end)
        end
        con:puts("own ") con:puts(tostring(coroutine.resume(routine)), " ")
      end`,
    );
    assert.equal((await ask(server(), 'coroutine.lua')).text, 'own from the coroutine true ');
    assert.equal((await ask(server(), 'coroutine.lua')).text, 'own false ');
    assert.equal((await ask(server(), 'coroutine.lua')).text, 'own false ');
  });
});
