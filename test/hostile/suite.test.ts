/** What the hostile scripts are, and that the look for foreign data finds it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { engineNames } from '../../src/lua/engine-names.js';
import { Random } from '../fuzz/random.js';
import { snippetsOf } from './snippets/index.js';
import { AnswerScan, Tokens } from './tokens.js';

it('there are hundreds of hostile scripts for each engine, each under a name of its own', () => {
  for (const engine of engineNames) {
    const names = snippetsOf(engine).map(({ name }) => name);
    assert.ok(names.length >= 200, `${engine}: ${names.length}`);
    assert.equal(new Set(names).size, names.length);
  }
});

it('a token of another script is found in an answer, wherever the answer is cut', () => {
  const tokens = new Tokens(new Random(1));
  const [own, other] = [tokens.next('a.lua'), tokens.next('b.lua')];
  const answer = Buffer.from(`x ${own} y ${other} z`);
  for (let cut = 0; cut <= answer.length; cut += 1) {
    const scan = new AnswerScan(tokens, 'a.lua');
    scan.add(answer.subarray(0, cut));
    scan.add(answer.subarray(cut));
    assert.equal(scan.foreign, `${other}, which was sent to b.lua`);
  }
  const scan = new AnswerScan(tokens, 'b.lua');
  scan.add(Buffer.from(`x ${other} y`));
  assert.equal(scan.foreign, undefined);
});
