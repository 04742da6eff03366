import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newState } from '../support.js';

test('there are no C modules', () => {
  const { state, evaluate } = newState();
  assert.equal(evaluate('package.cpath'), '');
  // Preload, the path, the word that C modules cannot be loaded, and modules of the server that stand in for some.
  assert.equal(evaluate('#package.loaders'), '4');
  assert.match(evaluate('select(2, pcall(require, "socket.core"))'), /C modules/);
  state.close();
});
