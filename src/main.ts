/** The command `luafcgid`: arguments in, one of its tasks out. The only file that ends the process. */
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LuafcgidError } from './base/errors.js';
import { version } from './base/version.js';
import { checkFile } from './cli/check.js';
import { makeApplication } from './cli/new.js';
import type { Outcome } from './cli/prepare.js';
import { runScript } from './cli/run.js';
import { serveConfig } from './cli/serve.js';
import { serveDirectory } from './cli/serve-directory.js';
import { testDirectory } from './cli/test.js';
import { ConfigError, formatConfigError, optionHelp } from './config/load.js';
import { endProcess } from './lua/engine.js';
import { complain } from './process/background.js';

const USAGE = `Usage:
  luafcgid [config.lua]             serve FastCGI in the foreground
  luafcgid serve [directory]        serve a directory over HTTP, for development
  luafcgid check FILE               check a configuration and tell every fault
                                    (--connect: try its data sources, too)
  luafcgid run SCRIPT [options]     run a script once and print its answer
  luafcgid new DIRECTORY            make a small application to begin with
  luafcgid test [directory]         run the tests of an application
  luafcgid --help | --version

Options of all that serves scripts:
  --engine NAME       Lua engine: embedded, lua5.1, lua5.4 or luajit

Options of the server in the foreground:
  --daemonize         serve in the background; ends when the server is ready
  --pidfile FILE      file for the number of the process

Options of serve:
  --port NUMBER       HTTP port (default: $PORT or 8080)
  --host ADDRESS      address to listen on (default: 127.0.0.1)
  --open              show the first page in the browser
  --config FILE       configuration to use
  --front NAME        script that answers for paths that are no files, in its
                      folder and those below it: --front index.lua

Options of run:
  --method METHOD     request method (default: GET, with --body POST)
  --query QUERY       query string
  --header NAME:VALUE request header, may be given several times
  --body FILE         request body, - for standard input
  --config FILE       configuration to use
`;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** The status that a shell gives a process which a signal has ended, less the signal's number. */
const SIGNALLED = 128;

/** A call that cannot be understood: the message is one line. */
class UsageError extends Error {}

const OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
  port: { type: 'string' },
  host: { type: 'string' },
  open: { type: 'boolean' },
  front: { type: 'string' },
  config: { type: 'string' },
  engine: { type: 'string' },
  daemonize: { type: 'boolean' },
  pidfile: { type: 'string' },
  method: { type: 'string' },
  query: { type: 'string' },
  header: { type: 'string', multiple: true },
  body: { type: 'string' },
  connect: { type: 'boolean' },
} as const;

type OptionName = keyof typeof OPTIONS;

const COMMAND_OPTIONS: Readonly<Record<string, readonly OptionName[]>> = {
  serve: ['port', 'host', 'open', 'config', 'front', 'engine'],
  check: ['connect'],
  run: ['method', 'query', 'header', 'body', 'config', 'engine'],
  test: ['config', 'engine'],
  new: [],
  '': ['engine', 'daemonize', 'pidfile'],
};

async function main(argv: readonly string[]): Promise<Outcome> {
  const { values, positionals } = parse(argv);
  if (values.help) {
    process.stdout.write(`${USAGE}\n${optionHelp()}\n`);
    return { exitCode: 0 };
  }
  if (values.version) {
    process.stdout.write(`luafcgid ${version}\n`);
    return { exitCode: 0 };
  }
  const command = ['serve', 'check', 'run', 'test', 'new'].includes(positionals[0] ?? '')
    ? (positionals.shift() as string)
    : '';
  for (const name of Object.keys(values) as OptionName[]) {
    if (!COMMAND_OPTIONS[command]?.includes(name)) {
      throw new UsageError(`--${name} is no option of "luafcgid${command === '' ? '' : ` ${command}`}"`);
    }
  }
  if (positionals.length > 1)
    throw new UsageError(`one file expected, got ${positionals.length}: ${positionals.join(' ')}`);
  const [file] = positionals;
  const overrides = values.engine === undefined ? {} : { engine: values.engine };
  switch (command) {
    case 'serve':
      return serveDirectory({
        directory: file ?? '.',
        port: portOf(values.port ?? process.env.PORT ?? '8080'),
        host: values.host ?? '127.0.0.1',
        config: values.config,
        front: frontOf(values.front),
        opens: values.open === true,
        overrides,
      });
    case 'check':
      if (file === undefined) throw new UsageError('check needs the FILE to check');
      return checkFile(file, values.connect === true);
    case 'run':
      if (file === undefined) throw new UsageError('run needs the SCRIPT to run');
      return runScript(file, {
        method: values.method,
        query: values.query ?? '',
        headers: (values.header ?? []).map(headerOf),
        body: values.body,
        config: values.config,
        overrides,
      });
    case 'new':
      if (file === undefined) throw new UsageError('new needs the DIRECTORY to make');
      return makeApplication(file);
    case 'test':
      return testDirectory({ directory: file ?? '.', config: values.config, overrides });
    default:
      return serveConfig(file, {
        ...overrides,
        ...(values.daemonize && { daemonize: true }),
        ...(values.pidfile !== undefined && { pidfile: resolve(values.pidfile) }),
      });
  }
}

function frontOf(name: string | undefined): string | undefined {
  if (name === undefined || /^[^./][^/]*\.lua$/.test(name)) return name;
  throw new UsageError(`--front ${name}: the name of a script is expected, like index.lua`);
}

function parse(argv: readonly string[]): { values: ReturnType<typeof parseAll>['values']; positionals: string[] } {
  try {
    return parseAll(argv);
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n', 1)[0]);
  }
}

function parseAll(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
}

function portOf(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new UsageError(`no port: ${text}; write a number from 0 (any free one) to 65535`);
  return port;
}

function headerOf(text: string): [name: string, value: string] {
  const colon = text.indexOf(':');
  if (colon < 1) throw new UsageError(`no header: ${text}; write NAME:VALUE`);
  return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
}

function report(error: unknown): number {
  if (error instanceof UsageError) {
    complain(`luafcgid: ${error.message} (see luafcgid --help)\n`);
    return EXIT_USAGE;
  }
  if (error instanceof ConfigError) complain(`${formatConfigError(error)}\n`);
  else if (error instanceof LuafcgidError) complain(`luafcgid: ${error.message}\n${error.solve} [${error.code}]\n`);
  else complain(`luafcgid: ${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT_FAILED;
}

/** Ends the process when all that was written has left it: a pipe takes it in its reader's time. */
function leave(exitCode: number): void {
  process.stdout.write('', () => endProcess(exitCode));
}

// Whoever read the output has gone.
process.stdout.on('error', () => endProcess(EXIT_FAILED));

/** What runs until it is stopped, once it does. */
let running: Outcome['server'];
let signals = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (signal === 'SIGHUP' && running?.reload !== undefined) {
      // Who stops has nothing to reload.
      if (signals === 0) void running.reload();
      return;
    }
    signals += 1;
    // What has not begun to serve has nothing to finish: it ends as the signal would have ended it.
    if (running === undefined) endProcess(SIGNALLED + constants.signals[signal]);
    // The second one does not wait for anything.
    if (signals > 1) endProcess(EXIT_FAILED);
    running.stop().then(
      () => endProcess(0),
      (error) => endProcess(report(error)),
    );
  });
}

// Also before anything serves: without a listener the signal would open Node's debugger.
process.on('SIGUSR1', () => running?.reopenLogs());

main(process.argv.slice(2)).then(
  ({ exitCode, server }) => {
    running = server;
    if (server === undefined) leave(exitCode);
  },
  (error) => endProcess(report(error)),
);
