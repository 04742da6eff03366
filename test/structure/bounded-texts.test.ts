/**
 * No text of unbounded size is given to a pattern with a callback, nor cut into parts: V8 keeps all matches and parts in one
 * array, and one that becomes too long ends the process (attacks F1). (Joins need such an array before.) So each call of these
 * in `src/` is listed here with what bounds its text. A new call either goes through `replaceEach` of `bounded-text.ts`, cuts
 * its text first, or is added here with its reason.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sourceFiles } from './source-tree.js';

/** What replaces one fixed text is harmless, and so is what cuts a text of the program itself. */
const CALL = /(?:(?<!['"`])\.(?:replace\((?!['"])|split\()|\.(?:replaceAll|match|matchAll)\()/;

/** Rooms whose texts come from the operator: the command line, the environment, a configuration (8 MiB at most). */
const OF_THE_OPERATOR = /^(analysis|main|cli|config|process|server|threads)(\/|$)/;

/** What bounds the texts, and in which files how many calls see only such texts. */
const REVIEWED: readonly { readonly bound: string; readonly calls: Readonly<Record<string, number>> }[] = [
  {
    bound: 'the texts of a configuration, which are at most 8 MiB in all (globalsLimitBytes)',
    calls: {
      'base/listen-address': 1,
      'logging/access-format': 2,
      'logging/target': 1,
      'front/io/driver': 1,
      'front/host/threaded': 1,
      'scripts/source-files': 1,
      'linux/trusted-path': 2,
    },
  },
  {
    bound: 'the stacks of a profile: 32 KiB each, and 20,000 names of them at most',
    calls: { 'profile/stacks': 1, 'profile/flame-graph': 1 },
  },
  {
    bound: 'a text that is cut to some thousand characters before',
    calls: { 'cgi/request-detail': 1, 'cgi/secrets': 1 },
  },
  {
    bound: 'a text that the server itself has made, of some hundred characters',
    calls: {
      'scripts/fingerprint': 1,
      'status/json': 1,
      'base/errors': 1,
      'gateway/pages': 1,
      'io/sql/credentials': 1,
      'linux/socket-address': 4,
      'lua/native/boot': 1,
    },
  },
  {
    bound: 'what the operator’s own tests send and are shown: in a process that runs nothing else',
    calls: { 'gateway/script-tests': 1 },
  },
  {
    bound: 'a name of at most 100 characters, or one of a file',
    calls: { 'base/nearest-name': 1 },
  },
  {
    bound: 'a table of the kernel: one line a socket of this machine',
    calls: { 'linux/socket-table': 5 },
  },
  {
    bound: 'names of scripts and texts of errors, which are cut before',
    calls: { 'metrics/error-groups': 1, 'status/openmetrics': 1 },
  },
  {
    bound: 'pieces of 16 KiB',
    calls: { 'base/bounded-text': 2 },
  },
  {
    bound: 'a line of a log, of 64 KiB at most: its text and its names are cut before',
    calls: { 'logging/invisible': 1, 'logging/sinks/channel': 1 },
  },
  {
    bound: 'HTTP headers, which Node.js reads up to 16 KiB, or the path in them',
    calls: {
      'control/http': 1,
      'gateway/cgi-params': 1,
      'gateway/script-call': 1,
      'gateway/site': 4,
      'gateway/static': 1,
    },
  },
  {
    bound: 'the header block of an answer: 64 KiB',
    calls: { 'cgi/response': 1, 'gateway/answer': 1, 'gateway/content-security': 3 },
  },
  {
    bound: 'a header of a request, cut to 1000 characters',
    calls: { 'cgi/negotiation': 3 },
  },
  {
    bound: 'an IP address, or the host of a URL, which has 16 KiB at most',
    calls: { 'io/http/addresses': 6 },
  },
  {
    bound: 'what a FastCGI server writes to its error stream, in pieces of 64 KiB',
    calls: { 'gateway/relay': 1 },
  },
  {
    bound: 'the parameters of a request, 1 MiB, cut at one character',
    calls: { 'cgi/request': 3, 'status/render': 1 },
  },
  {
    bound: 'a message, a stack or a path that left Lua by `lua/crossing.ts`, or a Lua source, which has 16 MiB at most',
    calls: { 'lua/engine-state': 2, 'lua/traceback': 1, 'scripts/opened-file': 2, 'worker/error-detail': 2 },
  },
  {
    bound: 'one format of `strftime`: Lua hands it over conversion by conversion',
    calls: { 'lua/embedded/libc/calendar': 1 },
  },
  {
    bound: 'TZ of the environment, or the last line of a file of the system’s zone database',
    calls: { 'lua/embedded/libc/time-zone': 4 },
  },
  {
    bound: 'a batch of the access log (64 KiB), or one of its lines, whose fields are cut',
    calls: { 'logging/sinks/writer': 1 },
  },
];

/** Calls by file, the last part of its name: files are moved more often than they are rewritten. */
function callsIn(files: readonly { name: string; text: string }[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { name, text } of files) {
    if (OF_THE_OPERATOR.test(name)) continue;
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
