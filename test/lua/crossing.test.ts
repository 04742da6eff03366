/** What leaves a Lua state is bounded, whatever a script makes (attacks F1 and F6). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failure, luaError, newState, serve, serveSource } from './support.js';

/** Lua source of a text of 16 MiB that patterns find something in at every second byte. */
const HUGE = '("\\1<"):rep(2 ^ 10):rep(8 * 2 ^ 10)';
const memoryBytes = 512 << 20;

it("a header of 16 MiB is an error of the script's line", () => {
  const calls = [
    `con:header(text)`,
    `con:header("X-Long", text)`,
    `con:header(text, "v")`,
    `con:status("200 " .. text)`,
    `con:type(text)`,
    `con:redirect(text)`,
    `con:config("contenttype", text)`,
    `con:config("httpstatus", text)`,
  ];
  const { state, run } = newState({ memoryBytes });
  try {
    run(
      `local text = ${HUGE}`.concat(
        ...calls.map(
          (call, at) => `
      function call${at}(env, con)
        local ok, message = pcall(function() ${call} end)
        con:puts(tostring(ok), " ", #message, " ", message)
      end`,
        ),
      ),
    );
    for (const [at, call] of calls.entries()) {
      const answer = serve(state, `call${at}`);
      assert.match(
        answer.body,
        /^false \d{2,3} \/srv\/script\.lua:\d+: response headers of more than 65536 bytes$/,
        call,
      );
      assert.deepEqual(answer.calls, [], call);
    }
  } finally {
    state.close();
  }
});

describe('an error text of 16 MiB', () => {
  it('is told by its beginning and its end', () => {
    const { state, run } = newState({ memoryBytes });
    try {
      run(`function main() error("BEGIN" .. ${HUGE} .. "END", 0) end`);
      const { message } = luaError(() => serve(state, 'main'));
      assert.match(message, /^BEGIN/);
      assert.match(message, / \.\.\.\(16760840 bytes left out\)\.\.\. /);
      assert.match(message, /END$/);
      assert.ok(message.length < 17_000, String(message.length));
      run('function after(env, con) con:puts("alive") end');
      assert.equal(serve(state, 'after').body, 'alive');
    } finally {
      state.close();
    }
  });

  it('is cut in a traceback, too', () => {
    const { state, run } = newState({ memoryBytes });
    try {
      const name = `local ${'n'.repeat(50_000)} = function() error("why") end`;
      run(`${name} function main() ${'n'.repeat(50_000)}() end`);
      const { message, traceback } = luaError(() => serve(state, 'main'));
      assert.match(message, /why$/);
      assert.ok(traceback.length < 33_000, String(traceback.length));
    } finally {
      state.close();
    }
  });

  it('of a chunk that does not compile is cut as well', () => {
    const { state } = newState({ memoryBytes });
    try {
      const source = Buffer.from(`x = = "${'y'.repeat(1000)}"`);
      const { message } = luaError(() => state.run(source, `=${'n'.repeat(100_000)}`));
      assert.ok(message.length < 17_000, String(message.length));
    } finally {
      state.close();
    }
  });
});

describe('a log text of 1 MiB', () => {
  it('goes out in lines of at most 64 KiB, and nothing of it is lost', () => {
    const lines: string[] = [];
    const override = { log: (_: string, text: string) => lines.push(text) };
    serveSource('con:log(("0123456789abcdef"):rep(2^16))', { override });
    assert.equal(lines.join(''), '0123456789abcdef'.repeat(2 ** 16));
    assert.ok(lines.every(({ length }) => length <= 65_536));
    assert.equal(lines.length, 16);
  });

  it('is so for print and io.write, which are cut at 8 KiB as before', () => {
    const { state, run, log } = newState();
    try {
      run('io.write(("0123456789abcdef"):rep(2^16), "\\n") print(("x"):rep(2^17))');
      const texts = log.map(({ text }) => text);
      assert.equal(texts.join(''), '0123456789abcdef'.repeat(2 ** 16) + 'x'.repeat(2 ** 17));
      assert.ok(texts.every(({ length }) => length <= 65_536));
    } finally {
      state.close();
    }
  });
});

describe('output of 20 MiB in one call', () => {
  it('is handed over in pieces of at most 256 KiB', () => {
    const sizes: number[] = [];
    const override = { write: (bytes: Uint8Array) => void sizes.push(bytes.length) };
    serveSource('con:puts(("x"):rep(20 * 2^20))', { override }, { memoryBytes });
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      20 * 2 ** 20,
    );
    assert.ok(sizes.every((size) => size <= 262_144));
  });
});

describe('the globals of a script', () => {
  it('are asked of a configuration only', () => {
    const { state } = newState();
    try {
      assert.match(luaError(() => state.globals()).message, /only a configuration is asked for its globals/);
    } finally {
      state.close();
    }
  });

  it('have no way out through the host function', () => {
    const source = `
      local function host()
        for i = 1, 10 do
          local name, value = debug.getupvalue(print, i)
          if name == "host" or (name == "" and type(value) == "table" and value.print) then return value end
        end
      end
      con:puts(tostring((host())))`;
    // The debug library takes print for a C function without upvalues.
    assert.equal(serveSource(source).body, 'nil');
  });

  it('are bounded in number, also where one table is named again and again', () => {
    const { state, run } = newState({ givesGlobals: true, memoryBytes });
    try {
      // 4^50 values when all are written out; an engine that remembers tables reads 52.
      run('local t = { 1 } for i = 1, 50 do t = { t, t, t, t } end tree = t');
      let outcome: string;
      try {
        const { tree } = state.globals().values as { tree: readonly unknown[] };
        outcome = `${tree.length} ${tree[0] === tree[3]}`;
      } catch (error) {
        outcome = (error as Error).message;
      }
      assert.match(outcome, /^4 true$|more than \d+ (values|bytes)/);
      run('tree = {} for i = 1, 300000 do tree[i] = i end');
      assert.match(luaError(() => state.globals()).message, /more than \d+ (values|bytes of text)/);
      run('tree = {} for i = 1, 30 do tree[i] = ("x"):rep(2^20) .. i end');
      assert.match(luaError(() => state.globals()).message, /more than \d+ bytes of text/);
    } finally {
      state.close();
    }
  });
});

it('a path of 1 MiB names no file, and no host is asked', () => {
  const { state, run, asked } = newState();
  try {
    run('function main(env, con) con:puts(select(2, loadfile(("x/"):rep(2^19)))) end');
    assert.match(serve(state, 'main').body, /^cannot open \/srv\/x\/x\//);
    assert.deepEqual(asked, []);
  } finally {
    state.close();
  }
});

it('a word of 1 MiB is no setting, no level and no variable', () => {
  assert.equal(serveSource('con:puts(tostring(con:config(("x"):rep(2^20))))').body, 'nil');
  assert.match(failure('con:log(("x"):rep(2^20), "text")'), /is no level/);
});
