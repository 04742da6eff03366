/** The words of a command line: what is understood, and what is said of those that are not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readCommandLine, UsageError } from '../../src/cli/command-line.js';

const wrong = (...words: string[]): string => {
  try {
    readCommandLine(words);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
  return assert.fail(`"${words.join(' ')}" was understood`);
};

describe('a command line', () => {
  it('has a command, its options and its words', () => {
    const { command, values, words } = readCommandLine(['run', 'a.lua', '--method', 'PUT', '--header', 'A: b']);
    assert.deepEqual([command, values.method, values.header, words], ['run', 'PUT', ['A: b'], ['a.lua']]);
  });

  for (const [words, message] of [
    ['--no-such-option', /^--no-such-option is no option of "luafcgid"/],
    ['a.lua b.lua', /^one file expected, got 2: a\.lua b\.lua$/],
    ['run a.lua --method', /--method/],
    ['run a.lua --metod=GET', /^--metod is no option of "luafcgid run"; did you mean --method\?$/],
    ['check a.lua --port 1', /^--port is no option of "luafcgid check"/],
    ['status a b', /^one argument expected, got 2: a b$/],
    ['ping --json', /^--json is no option of "luafcgid ping"/],
    ['--query x', /^--query is no option of "luafcgid"/],
  ] as const)
    it(`is refused as "${words}"`, () => {
      const said = wrong(...words.split(' '));
      assert.match(said, message);
      assert.doesNotMatch(said, /\n/);
    });
});

describe('a word that is no command', () => {
  it('is told as one, with the nearest that there is: users.md section 1', () => {
    for (const [word, meant] of [
      ['srve', 'serve'],
      ['stauts', 'status'],
      ['relod', 'reload'],
    ] as const) {
      assert.equal(wrong(word), `unknown command "${word}"; did you mean ${meant}?`);
    }
    assert.match(wrong('frobnicate'), /^unknown command "frobnicate"; there are serve, /);
  });
});
