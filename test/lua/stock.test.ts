/**
 * Lua's library as scripts meet it, compared with the stock interpreter of the same version: each function with some
 * hundred lists of arguments, its errors and where they are raised, and what the debug library tells of it. Nearly all of
 * these calls give the same; what differs is listed here, and lua-api.md says it to scripts.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { engineName, newState, serve } from './support.js';

/** Source of the calls; the compiler does not copy it. */
const callsFile = new URL('../../../test/lua/stock/calls.lua', import.meta.url);

const interpreters = { embedded: 'lua5.1', 'lua5.1': 'lua5.1', 'lua5.4': 'lua5.4', luajit: 'luajit' } as const;

/** Lines that say nothing of the library: the time of day, the locale of the environment, random numbers, what `print` has printed. */
const VARYING = [/^os\.date\(("[^"]*"(, nil)?)?\) /, /^os\.setlocale\((""|nil)?\) /, /^math\.random\(/, /^\d+$/];

/** Calls whose results differ, and why. */
const DIFFERENT: readonly { readonly engines: readonly string[]; readonly calls: RegExp; readonly why: string }[] = [
  {
    engines: ['embedded'],
    calls: /^(io\.(open|lines|input|popen)|os\.(remove|rename)|place 6 )/,
    why: 'no files and no processes, unless files are granted',
  },
  {
    engines: ['embedded'],
    calls: /^math\.(atan2|pow|mod|fmod|ldexp)\(("[^"]*"|nil|true|false|function|thread|\{.*\})?\) raises/,
    why: 'which one of two wrong arguments an error names is up to the compiler of C',
  },
  {
    engines: ['lua5.4'],
    calls: /^math\.(atan2?|pow)\(/,
    why: 'some builds name the function math.atan, some math.atan2',
  },
  {
    engines: ['embedded'],
    calls:
      /^(math\.(frexp|atan2|tan|sin|cos|exp|sinh|cosh|tanh|log10|log|pow)\(|os\.difftime\(.*e\+18|os\.difftime\(.*(inf|e\+))/,
    why: 'the last digit of a function of C’s library, and what C leaves open for numbers that are infinite or too large',
  },
  {
    engines: ['lua5.1', 'lua5.4', 'luajit'],
    calls: /^(string\.rep\("ab", |place 13 )/,
    why: 'a string beyond the limit of memory is refused before it is made',
  },
  { engines: ['lua5.4'], calls: /^coroutine\.resume\(\) /, why: '"got nil" for "got no value"' },
  {
    engines: ['luajit'],
    calls: /^(io\.(input|output|read)\(|place (28|36) |.*table\.new)/,
    why: 'words of messages; `table.new` is there from the start',
  },
  {
    engines: ['lua5.4', 'luajit'],
    calls: /^debug\.(upvaluejoin|setupvalue|getlocal) /,
    why: 'words of messages: functions of C and of this server tell nothing of what is inside of them',
  },
  {
    engines: ['lua5.1'],
    calls: /^unpack\(.*42949672/,
    why: 'the stock function counts in 32 bits and can end the process',
  },
  {
    engines: ['embedded', 'lua5.1'],
    calls: /^place 28 /,
    why: '"got no value" for "got nil"',
  },
];

/** A line with what differs from run to run made equal. */
function normalized(line: string): string {
  return line.replace(/0x[0-9a-f]+/g, 'ADDRESS').replace(/^(.*raises .*) to '(\?|[\w.:]+)' (\(.*)$/, "$1 to '?' $3");
}

function relevant(text: string): string[] {
  const isExpected = (line: string) =>
    DIFFERENT.some(({ engines, calls }) => engines.includes(engineName) && calls.test(line));
  return text
    .split('\n')
    .filter((line) => !VARYING.some((pattern) => pattern.test(line)) && !isExpected(line))
    .map(normalized);
}

test(`the library of ${engineName} does what that of ${interpreters[engineName]} does`, () => {
  const environment = { PATH: process.env.PATH };
  const stock = spawnSync(interpreters[engineName], [callsFile.pathname], {
    encoding: 'latin1',
    env: environment,
    timeout: 60_000,
    maxBuffer: 64 << 20,
  });
  assert.equal(stock.status, 0, stock.stderr);
  const source = readFileSync(callsFile, 'latin1');
  const { state, run } = newState({ memoryBytes: 256 << 20 }, { [callsFile.pathname]: source });
  try {
    run(`function emit(line) current:puts(line, "\\n") end
      function main(env, con) current = con assert(loadfile(${JSON.stringify(callsFile.pathname)}))() end`);
    const ours = relevant(serve(state, 'main').body);
    const theirs = relevant(stock.stdout);
    const known = new Set(theirs);
    const found = new Set(ours);
    assert.deepEqual(
      { differs: ours.filter((line) => !known.has(line)), wanted: theirs.filter((line) => !found.has(line)) },
      { differs: [], wanted: [] },
    );
    assert.ok(theirs.length > 10_000, `${theirs.length} calls were compared`);
  } finally {
    state.close();
  }
});
