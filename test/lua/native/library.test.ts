/** Which library a native engine loads, and what is said when it is not there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LuafcgidError } from '../../../src/base/errors.js';
import { createEngine, prepareEngine } from '../../../src/lua/engine.js';
import { nativeKinds } from '../../../src/lua/native/library.js';
import { engineName, serveSource } from '../support.js';

const name = engineName as keyof typeof nativeKinds;

const refused = (detail: RegExp) => (error: unknown) => {
  assert.ok(error instanceof LuafcgidError);
  assert.equal(error.code, 'LUAFCGID_LUA_LIBRARY');
  assert.match(error.message, detail);
  assert.ok(error.solve.includes(`apt-get install ${nativeKinds[name].packageName}`), error.solve);
  return true;
};

test('a library that is not there is one error that names the package', () => {
  assert.throws(
    () => prepareEngine('2', name, '/no/such/liblua.so'),
    refused(/\/no\/such\/liblua\.so: .*[Nn]o such file/),
  );
});

test('a file that is no Lua library is refused', () => {
  assert.throws(() => prepareEngine('2', name, 'libc.so.6'), refused(/libc\.so\.6: .*lua/));
});

test('the file that was found is what other threads load', () => {
  const data = prepareEngine('2', name);
  assert.ok(data.name !== 'embedded' && data.file === nativeKinds[name].files[0]);
  assert.equal(createEngine(structuredClone(data)).name, name);
});

if (engineName === 'luajit')
  test("LuaJIT's profiler, of which an error in its function ends the process, is refused (issue 11.2)", () => {
    const { body } = serveSource('con:puts(tostring(select(2, pcall(require, "jit.profile"))))');
    assert.match(body, /^jit\.profile would end the server, /);
  });
