/** The command `luafcgid`: arguments in, one of its tasks out. The only file that ends the process. */
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { LuafcgidError } from './base/errors.js';
import { version } from './base/version.js';
import { checkFile } from './cli/check.js';
import { type CommandLine, helpText, readCommandLine, UsageError } from './cli/command-line.js';
import { convertFile } from './cli/convert.js';
import { makeApplication } from './cli/new.js';
import type { Outcome } from './cli/prepare.js';
import { runScript } from './cli/run.js';
import { serveConfig } from './cli/serve.js';
import { serveDirectory } from './cli/serve-directory.js';
import { testDirectory } from './cli/test.js';
import { ConfigError, formatConfigError, optionHelp } from './config/load.js';
import { endProcess } from './lua/engine.js';
import { complain } from './process/background.js';
import { SUCCESSOR_VARIABLE } from './process/environment.js';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** The status that a shell gives a process which a signal has ended, less the signal's number. */
const SIGNALLED = 128;

async function main(argv: readonly string[]): Promise<Outcome> {
  const { command, values, words } = readCommandLine(argv);
  if (values.help === true) {
    process.stdout.write(helpText(command, optionHelp));
    return { exitCode: 0 };
  }
  if (values.version === true) {
    process.stdout.write(`luafcgid ${version}\n`);
    return { exitCode: 0 };
  }
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  const [word] = words;
  const engine = text('engine');
  const overrides: Readonly<Record<string, string>> = engine === undefined ? {} : { engine };
  switch (command) {
    case 'serve':
      return serveDirectory({
        directory: word ?? '.',
        port: portOf(text('port') ?? process.env.PORT ?? '8080'),
        host: text('host') ?? '127.0.0.1',
        config: text('config'),
        front: frontOf(text('front')),
        opens: values.open === true,
        overrides,
      });
    case 'check':
      if (word === undefined) throw new UsageError('check needs the FILE to check');
      return check(words, text('config'), overrides, values);
    case 'run':
      if (word === undefined) throw new UsageError('run needs the SCRIPT to run');
      return runScript(word, {
        method: text('method'),
        query: text('query') ?? '',
        headers: headersOf(values.header),
        body: text('body'),
        profile: text('profile'),
        config: text('config'),
        overrides,
      });
    case 'console': {
      const { runConsole } = await import('./cli/console.js');
      return runConsole({ script: word, config: text('config'), overrides });
    }
    case 'new':
      if (word === undefined) throw new UsageError('new needs the DIRECTORY to make');
      return makeApplication(word);
    case 'convert':
      if (word === undefined) throw new UsageError('convert needs the FILE to convert');
      return convertFile(word);
    case 'test':
      return testDirectory({ directory: word ?? '.', config: text('config'), overrides });
    case 'status':
    case 'ping':
    case 'log':
    case 'reload':
    case 'reopen':
    case 'stop':
    case 'top':
    case 'stack':
      return control(command, words, values);
    default: {
      const pidFile = text('pidfile');
      return serveConfig(word, {
        ...overrides,
        ...(values.daemonize === true && { daemonize: true }),
        ...(pidFile !== undefined && { pidfile: resolve(pidFile) }),
      });
    }
  }
}

/** Several words, or one beside the settings for pages, are pages; else the file itself tells what it is. */
async function check(
  words: readonly string[],
  config: string | undefined,
  overrides: Readonly<Record<string, string>>,
  { connect, dump }: CommandLine['values'],
): Promise<Outcome> {
  const [word = ''] = words;
  const { checkPages, namesPage } = await import('./cli/check-pages.js');
  const arePages = words.length > 1 || config !== undefined || overrides.engine !== undefined || namesPage(word);
  if (!arePages) return checkFile(word, connect === true, dump === true);
  if (connect === true || dump === true)
    throw new UsageError('--connect and --dump are for a configuration, not for pages');
  return checkPages(words, config, overrides);
}

function frontOf(name: string | undefined): string | undefined {
  if (name === undefined || /^[^./][^/]*\.lua$/.test(name)) return name;
  throw new UsageError(`--front ${name}: the name of a script is expected, like index.lua`);
}

/** The commands for a running server. Only they load what asks it. */
async function control(
  command: 'status' | 'ping' | 'log' | 'reload' | 'reopen' | 'stop' | 'top' | 'stack',
  words: readonly string[],
  { json, openmetrics, quiet, sort, count }: CommandLine['values'],
): Promise<Outcome> {
  const [where] = words;
  const commands = await import('./cli/control.js');
  switch (command) {
    case 'status':
      return commands.showStatus(where, json === true ? 'json' : openmetrics === true ? 'openmetrics' : 'text');
    case 'ping':
      return commands.pingServer(where, quiet === true);
    case 'log':
      return commands.showErrors(where, json === true);
    case 'reload':
      return commands.reloadServer(where);
    case 'reopen':
      return commands.reopenLogs(where);
    case 'stop':
      return commands.stopServer(where);
    case 'top': {
      const { showTop } = await import('./cli/top.js');
      return showTop(where, sort, count);
    }
    case 'stack':
      if (where === undefined) throw new UsageError('stack needs the REQUEST, as luafcgid status names it');
      return commands.showStack(where, words[1]);
  }
}

function portOf(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new UsageError(`no port: ${text}; write a number from 0 (any free one) to 65535`);
  return port;
}

function headersOf(given: CommandLine['values'][string]): [name: string, value: string][] {
  return Array.isArray(given) ? given.map((text) => headerOf(String(text))) : [];
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
/** It has taken the place of a server that was not to be stopped before it could do so in order. */
const isSuccessor = SUCCESSOR_VARIABLE in process.env;
let signals = 0;
let isReloadWanted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (signal === 'SIGHUP' && running?.reload !== undefined) {
      // Who stops has nothing to reload.
      if (signals === 0) void running.reload();
      return;
    }
    if (signal === 'SIGHUP' && running === undefined && isSuccessor) {
      // It may have read the configuration already.
      isReloadWanted = true;
      return;
    }
    signals += 1;
    // What has not begun to serve has nothing to finish: it ends as the signal would have ended it.
    if (running === undefined && !isSuccessor) endProcess(SIGNALLED + constants.signals[signal]);
    // The second one does not wait for anything.
    if (signals > 1) endProcess(EXIT_FAILED);
    if (running !== undefined) stop(running);
  });
}

function stop(server: NonNullable<Outcome['server']>): void {
  server.stop().then(
    () => endProcess(0),
    (error) => endProcess(report(error)),
  );
}

// Also before anything serves: without a listener the signal would open Node's debugger.
process.on('SIGUSR1', () => running?.reopenLogs());

main(process.argv.slice(2)).then(
  ({ exitCode, server }) => {
    running = server;
    if (server === undefined) leave(exitCode);
    else if (signals > 0) stop(server);
    else if (isReloadWanted) void server.reload?.();
  },
  (error) => endProcess(report(error)),
);
