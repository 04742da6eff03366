/** Running the tests of an application: `luafcgid test`. */
import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { toByteString, toText } from '../base/byte-string.js';
import type { Overrides } from '../config/load.js';
import type { ScriptTests, TestAnswer, TestOutcome, TestRequest } from '../gateway/script-tests.js';
import type { Server } from '../server/server.js';
import { type Outcome, startPrivately } from './prepare.js';
import { findTestFiles } from './test-files.js';

/** What `luafcgid test` is given. */
export interface TestOptions {
  /** The test files are found below it. The site is its folder `public`, where it has one. */
  readonly directory: string;
  /** When left out, the folder's `config.lua`, where it has one. */
  readonly config: string | undefined;
  readonly overrides: Overrides;
}

/**
 * One worker runs the test, another one what it requests. A test reads the answers as its request's body, which must not be
 * collected first. Test files are scripts that lie outside of the site.
 */
const FOR_TESTS: Overrides = { root: [], workers: 2, bodymemory: 0, accesslog: '', slowlog: '', logfile: '/dev/null' };

/** `luafcgid test [directory]`: ends with 1 when a test failed. */
export async function testDirectory({ directory, config, overrides }: TestOptions): Promise<Outcome> {
  const folder = resolve(directory);
  const files = findTestFiles(folder);
  const [site, usual] = [join(folder, 'public'), join(folder, 'config.lua')];
  const startedMs = performance.now();
  const [{ startGateway }, { openScriptTests, sendRequest }] = await Promise.all([
    import('../gateway/gateway.js'),
    import('../gateway/script-tests.js'),
  ]);
  const { server, socket, close } = await startPrivately(
    config ?? (existsSync(usual) ? usual : null),
    { ...overrides, ...FOR_TESTS },
    true,
  );
  try {
    const lines: string[] = [];
    server.log.onWrite = (level, text) => {
      if (level !== 'debug') lines.push(`${level}: ${text.replaceAll('\n', ' ')}`);
    };
    const gateway = await startGateway({ root: existsSync(site) ? site : folder, port: 0, socket, log: () => {} });
    const report = new Report();
    try {
      for (const file of files) {
        report.file(relative(folder, file));
        const tests = await openScriptTests(socket, file);
        const logged = (): Promise<readonly string[]> => takeLines(server, lines);
        await runTests(tests, report, logged, async (request) => {
          lines.length = 0;
          const answer = await sendRequest(gateway.port, request);
          return { ...answer, log: await logged() };
        });
      }
    } finally {
      await gateway.close(0);
    }
    return { exitCode: report.end(performance.now() - startedMs) };
  } finally {
    await close();
  }
}

/** @param logged gives what was logged since the last request of a test: it says why a file or a test was broken off */
async function runTests(
  tests: ScriptTests,
  report: Report,
  logged: () => Promise<readonly string[]>,
  answer: (request: TestRequest) => Promise<TestAnswer>,
): Promise<void> {
  const told = async ({ failure }: TestOutcome): Promise<TestOutcome> => {
    const lines = await logged();
    return failure === undefined ? {} : { failure: [failure, ...lines.map(toByteString)].join('\n') };
  };
  if (tests.fault !== undefined) return report.test('loading the file', await told({ failure: tests.fault }));
  for (const [at, name] of tests.names.entries()) report.test(name, await told(await tests.run(at + 1, answer)));
}

/** What was logged until now: the front has handed on all that it had, once it answers. */
async function takeLines(server: Server, lines: string[]): Promise<readonly string[]> {
  await server.lookForChanges();
  return lines.splice(0);
}

/** Tells on standard output what becomes of the tests. */
class Report {
  #passed = 0;
  #failed = 0;

  file(name: string): void {
    process.stdout.write(`${name}\n`);
  }

  test(name: string, { failure }: TestOutcome): void {
    if (failure === undefined) this.#passed += 1;
    else this.#failed += 1;
    process.stdout.write(`  ${failure === undefined ? 'ok    ' : 'FAILED'}  ${toText(name)}\n`);
    for (const line of failure === undefined ? [] : toText(failure).split('\n'))
      process.stdout.write(`          ${line}\n`);
  }

  /** @returns the exit code */
  end(durationMs: number): number {
    const seconds = (durationMs / 1000).toFixed(2);
    process.stdout.write(`${this.#passed} passed, ${this.#failed} failed, in ${seconds} s\n`);
    return this.#failed === 0 ? 0 : 1;
  }
}
