import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newState } from '../support.js';

test('there are no C modules', () => {
  const { state, evaluate } = newState();
  assert.equal(evaluate('package.cpath'), '');
  assert.equal(evaluate('#package.loaders'), '2');
  state.close();
});
