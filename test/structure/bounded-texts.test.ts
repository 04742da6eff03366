/**
 * No text of unbounded size is given to a pattern with a callback, nor cut into parts, nor joined from them: V8 keeps all
 * matches and parts in one array, and one that becomes too long ends the process (attacks F1). So each call of these in
 * `src/` is listed here with what bounds its text. A new call either goes through `replaceEach` of `bounded-text.ts`, cuts
 * its text first, or is added here with its reason.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sourceFiles } from './source-tree.js';

const CALL = /\.(?:replace|replaceAll|split|join|match|matchAll)\(/;

/** What bounds the texts, and in which files how many calls see only such texts. */
const REVIEWED: readonly { readonly bound: string; readonly calls: Readonly<Record<string, number>> }[] = [
  {
    bound:
      'the texts of a configuration, which are at most 8 MiB in all (globalsLimitBytes), and the documents made of them',
    calls: {
      'config/accounts': 2,
      'config/address': 1,
      'config/bounds': 3,
      'config/document': 11,
      'config/literal': 3,
      'config/man-page': 15,
      'config/names': 2,
      'config/options/operation': 1,
      'config/report': 2,
      'config/script': 1,
      'config/validate': 3,
      'log/access-format': 2,
      'log/target': 3,
      'front/driver': 1,
      'front/far-front': 1,
      'front/script-lookup': 1,
      'http/site': 1,
      'server/listeners': 1,
      'server/server': 1,
      'worker/source-files': 2,
    },
  },
  {
    bound: 'the command line and the environment of the process, which the operator gives',
    calls: {
      commands: 2,
      main: 2,
      'server/front-settings': 1,
      'service/environment': 2,
      'service/notify': 1,
      'service/passed-sockets': 1,
    },
  },
  {
    bound: 'a text that the server itself has made, of some hundred characters',
    calls: {
      'channel/fingerprint': 1,
      errors: 1,
      'http/pages': 3,
      'linux/socket-address': 7,
      'log/line': 1,
      'lua/native-boot': 1,
      'lua/native-library': 1,
      'lua/wasm-module': 2,
    },
  },
  {
    bound: 'pieces of 16 KiB',
    calls: { 'bounded-text': 2 },
  },
  {
    bound: 'a line of a log, of 64 KiB at most: its text and its names are cut before',
    calls: { 'log/invisible': 1 },
  },
  {
    bound: 'HTTP headers, which Node.js reads up to 16 KiB, or the path in them',
    calls: { 'http/cgi-params': 2, 'http/script-call': 1, 'http/site': 4, 'http/static': 1 },
  },
  {
    bound: 'the header block of an answer: 64 KiB',
    calls: { 'http/answer': 1 },
  },
  {
    bound: 'what a FastCGI server writes to its error stream, in pieces of 64 KiB',
    calls: { 'http/relay': 1 },
  },
  {
    bound: 'the parameters of a request: 1 MiB, and the pattern is one character',
    calls: { 'cgi/request': 1 },
  },
  {
    bound: 'a message, a stack or a path that left Lua by `lua/crossing.ts`',
    calls: { 'cgi/error-page': 1, 'lua/engine-state': 2, 'lua/traceback': 2 },
  },
  {
    bound: 'one format of `strftime`: Lua hands it over conversion by conversion',
    calls: { 'lua/calendar': 1 },
  },
  {
    bound: 'a list or a record that the server hands to Lua',
    calls: { 'lua/native-chunks': 2 },
  },
  {
    bound: 'a batch of the access log (64 KiB), or one of its lines, whose fields are cut',
    calls: { 'ops/line-writer': 1 },
  },
  {
    bound: 'no text: a queue is joined',
    calls: { 'front/crew': 1, 'front/front': 1, 'pool/pool': 1 },
  },
];

/** Calls by file, the last part of its name: files are moved more often than they are rewritten. */
function callsIn(files: readonly { name: string; text: string }[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { name, text } of files) {
    const lines = text.split('\n').filter((line) => CALL.test(line) && !/^\s*(\/\/|\*|\/\*)/.test(line));
    const calls = lines.flatMap((line) => [...line.matchAll(new RegExp(CALL, 'g'))].map(() => line.trim()));
    if (calls.length === 0) continue;
    const file = lastOf(name);
    found.set(file, [...(found.get(file) ?? []), ...calls]);
  }
  return found;
}

function lastOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

const reviewed = new Map<string, number>();
for (const { calls } of REVIEWED) {
  for (const [name, count] of Object.entries(calls)) {
    reviewed.set(lastOf(name), (reviewed.get(lastOf(name)) ?? 0) + count);
  }
}

describe('texts that patterns and joins see', () => {
  const calls = callsIn(sourceFiles());

  it('are bounded in every file, as the list says', () => {
    const wrong = [...calls]
      .filter(([file, lines]) => lines.length !== (reviewed.get(file) ?? 0))
      .map(
        ([file, lines]) =>
          `${file}: ${lines.length} calls, ${reviewed.get(file) ?? 0} reviewed:\n  ${lines.join('\n  ')}`,
      );
    assert.deepEqual(wrong, []);
  });

  it('are listed for files that have some', () => {
    const gone = [...reviewed.keys()].filter((file) => !calls.has(file));
    assert.deepEqual(gone, []);
  });

  it('are found, where one is new', () => {
    const text = 'const a = text.replace(/[<>]/g, (c) => escapes[c]).split("\\n");\n// no.split(at)\n';
    assert.deepEqual(
      [...callsIn([{ name: 'lua/new', text }])].map(([file, lines]) => [file, lines.length]),
      [['new', 2]],
    );
  });
});
