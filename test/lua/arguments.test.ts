/** Thousands of arguments, and bodies as large as a state: what they take of its memory grows in proportion. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compatible, isEmbedded, newState, serve } from './support.js';

/** Lua passes no more than about 8000. */
const MOST = 7000;

describe('thousands of arguments', () => {
  for (const call of ['con:puts(unpack(t))', 'io.write(unpack(t))', 'print(unpack(t))']) {
    it(`take memory in proportion to their number: ${call} (reports A12)`, () => {
      const { state, run } = newState();
      try {
        run(`${compatible}function main(env, con)
          local t = {}
          for i = 1, tonumber(env.N) do t[i] = i % 7 == 0 and i or "x" end
          ${call}
          collectgarbage() collectgarbage() collectgarbage("stop")
          local before = collectgarbage("count")
          ${call}
          local taken = collectgarbage("count") - before
          collectgarbage("restart")
          con:reset()
          con:puts(math.floor(taken))
        end`);
        const kib = (count: number) => Number(serve(state, 'main', { params: { N: String(count) } }).body);
        const [half, all] = [kib(MOST / 2), kib(MOST)];
        assert.ok(all <= 2.5 * half + 64, `${half} KiB for ${MOST / 2} arguments, ${all} KiB for ${MOST}`);
      } finally {
        state.close();
      }
    });
  }

  it('come out in order, strings and numbers', () => {
    const { state, run } = newState();
    try {
      run(`${compatible}function main(env, con)
        local t = {}
        for i = 1, ${MOST} do t[i] = i % 2 == 0 and i or i .. "," end
        con:puts(unpack(t))
      end`);
      const wanted = Array.from({ length: MOST }, (_, at) => (at % 2 === 1 ? `${at + 1}` : `${at + 1},`)).join('');
      assert.equal(serve(state, 'main').body, wanted);
    } finally {
      state.close();
    }
  });

  it('are told by their place when one is wrong', () => {
    const { state, run } = newState();
    try {
      run(`${compatible}function main(env, con)
        local t = {}
        for i = 1, ${MOST} do t[i] = "x" end
        t[${MOST - 1}] = true
        con:puts(select(2, pcall(function() con:puts(unpack(t)) end)))
      end`);
      assert.match(
        serve(state, 'main').body,
        /script\.lua:5: bad argument #6999 to 'puts' \(string or number expected, got boolean\)$/,
      );
    } finally {
      state.close();
    }
  });
});

describe('a body that is read at once', () => {
  for (const length of [0, 1, 1000, 262_144, 262_145, 3_000_000]) {
    it(`is there byte for byte, announced or not: ${length} bytes`, () => {
      const { state, run } = newState();
      try {
        run('function main(env, con) con:puts(con:gets() or "nothing", tostring(con:gets())) end');
        const body = 'abc\0\xff\r\n'.repeat(length / 7 + 1).slice(0, length);
        for (const announced of [String(length), '', '5', 'nonsense', '1e9', String(2 * length + 1)]) {
          const params = announced === '' ? undefined : { CONTENT_LENGTH: announced };
          const input = { body, pieceBytes: 1 << 20, ...(params && { params }) };
          if (announced === '1e9') continue; // more than the state has: an error, see below
          assert.equal(serve(state, 'main', input).body, `${length === 0 ? 'nothing' : body}nil`, announced);
        }
      } finally {
        state.close();
      }
    });
  }

  it('takes twice its size of the state (reports Q5)', { skip: !isEmbedded }, () => {
    const { state, run } = newState({ memoryBytes: 64 << 20 });
    try {
      run('function main(env, con) con:puts(#con:gets()) end');
      const length = 28 << 20;
      const params = { CONTENT_LENGTH: String(length) };
      const body = 'x'.repeat(length);
      assert.equal(serve(state, 'main', { params, body, pieceBytes: 1 << 20 }).body, String(length));
    } finally {
      state.close();
    }
  });
});
