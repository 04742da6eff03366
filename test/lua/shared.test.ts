/** The module luafcgid.shared (issue 13, 6; names and results as data-access.md 2.5 has them). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createDictionary, Dictionary } from '../../src/shared/dictionary.js';
import { allBytes, isLua54, luaError, newState, serve, type TestState } from './support.js';

interface Shared extends TestState {
  readonly clock: { nowMs: number };
}

function open(evicts = false): Shared {
  const clock = { nowMs: 1000 };
  const shared = createDictionary(64 * 1024, [1, 2]);
  const dictionary = new Dictionary({ shared, owner: 1, evicts, nowMs: () => clock.nowMs });
  const state = newState({ shared: [{ name: 'cache', dictionary }] });
  state.run('d = require("luafcgid.shared").cache');
  return { ...state, clock };
}

/** The results of a call, as text. */
function results({ state, run }: TestState, call: string): string {
  run(`function results(env, con)
    local list = { n = 0 }
    local function keep(...) list.n = select("#", ...) for i = 1, list.n do list[i] = tostring((select(i, ...))) end end
    keep(${call})
    con:puts(table.concat(list, " "))
  end`);
  return serve(state, 'results').body;
}

describe('luafcgid.shared', () => {
  it('gives the results of ngx.shared.DICT', () => {
    const state = open();
    const cases: readonly [call: string, result: string][] = [
      ['d:get("a")', 'nil nil'],
      ['d:set("a", "x")', 'true nil false'],
      ['d:get("a")', 'x nil'],
      ['d:set("a", "y", 10, 7)', 'true nil false'],
      ['d:get("a")', 'y 7'],
      ['d:get_stale("a")', 'y 7 false'],
      ['d:add("a", 1)', 'nil exists false'],
      ['d:safe_add("b", true)', 'true nil false'],
      ['d:get("b")', 'true nil'],
      ['d:replace("c", 1)', 'nil not found false'],
      ['d:replace("b", false)', 'true nil false'],
      ['d:get("b")', 'false nil'],
      ['d:set("b", nil)', 'true nil false'],
      ['d:get("b")', 'nil nil'],
      ['d:incr("n", 1)', 'nil not found false'],
      ['d:incr("n", 1, 41)', '42 nil false'],
      ['d:incr("n", -0.5)', '41.5 nil false'],
      ['d:incr("a", 1)', 'nil not a number false'],
      ['d:rpush("l", "first")', '1 nil'],
      ['d:lpush("l", 2)', '2 nil'],
      ['d:llen("l")', '2'],
      ['d:get("l")', 'nil value is a list'],
      ['d:rpop("l")', 'first nil'],
      ['d:lpop("l")', '2 nil'],
      ['d:lpop("l")', 'nil nil'],
      ['d:llen("l")', '0'],
      ['d:lpush("a", 1)', 'nil value not a list'],
      ['d:lpop("a")', 'nil value not a list'],
      ['d:llen("a")', 'nil value not a list'],
      ['d:ttl("n")', '0'],
      ['d:ttl("?")', 'nil not found'],
      ['d:expire("n", 5)', 'true'],
      ['d:expire("?", 5)', 'nil not found'],
      ['d:cas("n", 41, 1)', 'nil changed'],
      ['d:cas("n", 41.5, "new")', 'true nil'],
      ['d:cas("n", "new", nil)', 'true nil'],
      ['d:cas("n", nil, "again")', 'true nil'],
      ['d:cas("n", nil, "again")', 'nil changed'],
      ['d:delete("n")', ''],
      ['#d:get_keys()', '1'],
      ['d:set("big", ("x"):rep(70000))', 'nil no memory false'],
      ['d:set("big", ("x"):rep(9 * 2^20))', 'nil no memory false'],
      ['d:capacity()', '65536'],
      ['d:flush_all()', ''],
      ['d:flush_expired()', '1'],
      ['d:get_keys(0)[1]', 'nil'],
    ];
    for (const [call, result] of cases) assert.equal(results(state, call), result, call);
  });

  it('lets values expire, and gives them back as stale ones', () => {
    const state = open();
    results(state, 'd:set("a", "x", 1.5)');
    assert.match(results(state, 'd:ttl("a")'), /^1\.5$/);
    state.clock.nowMs += 1500;
    assert.equal(results(state, 'd:get("a")'), 'nil nil');
    assert.equal(results(state, 'd:get_stale("a")'), 'x nil true');
  });

  it('says when other values were evicted', () => {
    const state = open(true);
    assert.equal(results(state, 'd:set("a", ("x"):rep(30000))'), 'true nil false');
    assert.equal(results(state, 'd:set("b", ("x"):rep(40000))'), 'true nil true');
    assert.equal(results(state, 'd:get("a")'), 'nil nil');
    assert.equal(results(state, 'd:safe_set("c", ("x"):rep(40000))'), 'nil no memory false');
  });

  it('keeps bytes, numbers and booleans exactly', () => {
    const { state, run } = open();
    run(
      `function main(env, con)
      local bytes = con:gets()
      d:set("bytes", bytes)
      d:set(bytes, bytes .. bytes)
      assert(d:get("bytes") == bytes and d:get(bytes) == bytes .. bytes)
      d:rpush("list", bytes)
      assert(d:lpop("list") == bytes)
      for _, value in ipairs({ 0, 1, -1, 0.1, 1e300, -1e-300, 2^53, 1/0, -1/0, true, false, "" }) do
        assert(d:set("v", value))
        local got = d:get("v")
        assert(got == value and type(got) == type(value) and tostring(got) == tostring(value), tostring(value))
      end
      d:set("v", 0/0)
      assert(d:get("v") ~= d:get("v"))
      ${isLua54 ? 'for _, value in ipairs({ 1, 1.0, -0.0, math.maxinteger, math.mininteger, 2^60, 2^53|0 }) do d:set("v", value) local got = d:get("v") assert(got == value and math.type(got) == math.type(value) and tostring(got) == tostring(value), value) end' : ''}
      con:puts("same")
    end`.replace('2^53|0', '(1 << 53) + 1'),
    );
    assert.equal(serve(state, 'main', { body: allBytes }).body, 'same');
  });

  it('refuses wrong arguments at the line that has them', () => {
    const { state, run } = open();
    const cases: readonly [call: string, message: RegExp][] = [
      ['d:set("a", {})', /bad argument #2 to 'set' \(string, number or boolean expected, got table; encode it first\)/],
      ['d:set(nil, 1)', /bad argument #1 to 'set' \(string expected, got nil\)/],
      ['d:set("a", 1, -1)', /bad argument #3 to 'set' \(number of seconds expected, got number\)/],
      ['d:get("")', /the key is empty/],
      ['d:get(("x"):rep(70000))', /the key has more than 65535 bytes/],
      ['d:incr("a", "1")', /bad argument #2 to 'incr' \(number expected, got string\)/],
      ['d.get("a")', /call 'get' with ':' on a dictionary/],
      ['return require("luafcgid.shared").other', /there is no shared dictionary other; the option shared names cache/],
    ];
    for (const [call, message] of cases) {
      run(`function main(env, con)\n${call}\nend`);
      assert.match(luaError(() => serve(state, 'main')).message, message, call);
      if (!call.includes('other')) assert.match(luaError(() => serve(state, 'main')).message, /script\.lua:2: /, call);
    }
  });

  it('says that there is none where none is configured', () => {
    const { state, run } = newState();
    run('function main() return require("luafcgid.shared").cache end');
    assert.match(luaError(() => serve(state, 'main')).message, /the configuration names no shared dictionary/);
  });
});
