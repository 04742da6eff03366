/** The command line: which commands there are, what each takes, what its `--help` says, and how arguments are read. */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { nearestName } from '../base/nearest-name.js';

/** A call that cannot be understood: the message is one line. */
export class UsageError extends Error {}

interface OptionHelp {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  readonly multiple?: true;
  /** The value when there is none: `--name` and `--name=VALUE` are both right, `--name VALUE` is not. */
  readonly otherwise?: string;
  /** What stands for its value in help texts. */
  readonly value?: string;
  readonly text: string;
}

interface Command {
  /** What follows the name. */
  readonly takes: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** What else there is to know; '' for nothing. */
  readonly text: string;
  readonly options: Readonly<Record<string, OptionHelp>>;
  /** Most words besides options. */
  readonly words: number;
}

const CONFIG: OptionHelp = { type: 'string', value: 'FILE', text: 'configuration to use' };
const ENGINE: OptionHelp = {
  type: 'string',
  value: 'NAME',
  text: 'Lua engine: embedded, lua5.1, lua5.4 or luajit',
};

const WHERE = `WHERE names the running server: its configuration, its pid file, its process number, or the address of its status socket. Left out, it is
config.lua in this directory, or else /run/luafcgid/status.sock. Needs the setting status.`;

const SIGNALS = `WHERE names the running server: its configuration, its pid file, its process number, or the address of its status socket. Left out, it is
config.lua in this directory, or else /run/luafcgid/status.sock. Without the setting status, the process of the pid file gets a signal.`;

/** The server itself, which has no name. */
export const SERVER = '';

export const COMMANDS = {
  [SERVER]: {
    takes: '[config.lua]',
    summary: 'serve FastCGI in the foreground',
    text: '',
    words: 1,
    options: {
      daemonize: { type: 'boolean', text: 'serve in the background; ends when the server is ready' },
      pidfile: { type: 'string', value: 'FILE', text: 'file for the number of the process' },
      engine: ENGINE,
    },
  },
  serve: {
    takes: '[directory]',
    summary: 'serve a directory over HTTP, for development',
    text: '',
    words: 1,
    options: {
      port: { type: 'string', value: 'NUMBER', text: 'HTTP port (default: $PORT or 8080)' },
      host: { type: 'string', value: 'ADDRESS', text: 'address to listen on (default: 127.0.0.1)' },
      front: {
        type: 'string',
        value: 'NAME',
        text: 'script that answers for paths that are no files, in its folder and those below it: --front index.lua',
      },
      open: { type: 'boolean', text: 'show the first page in the browser' },
      config: CONFIG,
      engine: ENGINE,
    },
  },
  run: {
    takes: 'SCRIPT',
    summary: 'run a script once and print its answer',
    text: 'The exit status is 0, or 1 when the answer has a status of 500 or more.',
    words: 1,
    options: {
      method: { type: 'string', value: 'METHOD', text: 'request method (default: GET, with --body POST)' },
      query: { type: 'string', value: 'QUERY', text: 'query string' },
      header: { type: 'string', multiple: true, value: 'NAME:VALUE', text: 'request header; may come several times' },
      body: { type: 'string', value: 'FILE', text: 'request body, - for standard input' },
      profile: {
        type: 'string',
        value: 'FILE',
        otherwise: 'profile.html',
        text: 'write a flame graph of where the time goes (default: profile.html); a GET is repeated for a second',
      },
      config: CONFIG,
      engine: ENGINE,
    },
  },
  console: {
    takes: '[SCRIPT]',
    summary: 'run what is typed as Lua, in a state of a script',
    text: `An expression is printed with its value. Ctrl-C stops what runs, Ctrl-D ends. The state has the globals of SCRIPT, and no con.`,
    words: 1,
    options: { config: CONFIG, engine: ENGINE },
  },
  check: {
    takes: 'FILE...',
    summary: 'check a configuration, or pages, and tell every fault',
    text: `FILE is a configuration, or a page: a script that defines main, or has to do with con. Of pages are told faults of syntax, a missing
handler, globals that were not meant as such or that nobody defines, and methods of con that do not exist.
The exit status is 0 when nothing is wrong, else 1.`,
    words: Number.POSITIVE_INFINITY,
    options: {
      config: {
        type: 'string',
        value: 'FILE',
        text: 'configuration that pages are checked for: FILE... are pages then',
      },
      engine: { ...ENGINE, text: 'Lua engine that pages are checked for: embedded, lua5.1, lua5.4 or luajit' },
      connect: { type: 'boolean', text: 'try its data sources, too' },
      dump: { type: 'boolean', text: 'print every setting with its value and where that comes from; no secrets' },
    },
  },
  new: {
    takes: 'DIRECTORY',
    summary: 'make a small application to begin with',
    text: '',
    words: 1,
    options: {},
  },
  convert: {
    takes: 'FILE',
    summary: 'print a configuration of luafcgid2 as one of this server',
    text: '',
    words: 1,
    options: {},
  },
  test: {
    takes: '[directory]',
    summary: 'run the tests of an application',
    text: '',
    words: 1,
    options: { config: CONFIG, engine: ENGINE },
  },
  status: {
    takes: '[WHERE]',
    summary: 'show what a running server is doing',
    text: WHERE,
    words: 1,
    options: {
      json: { type: 'boolean', text: 'as JSON' },
      openmetrics: { type: 'boolean', text: 'in the text format that Prometheus reads' },
    },
  },
  top: {
    takes: '[WHERE]',
    summary: 'show what a running server is doing, again and again',
    text: `${WHERE}\nKeys: r sorts by requests a second, t by run time, f by failures, m by memory, q quits.`,
    words: 1,
    options: {
      sort: { type: 'string', value: 'KEY', text: 'what to sort by: r, t, f or m (default: r)' },
      count: { type: 'string', value: 'NUMBER', text: 'end after so many looks' },
    },
  },
  stack: {
    takes: 'REQUEST [WHERE]',
    summary: 'print the Lua stack of a request that runs or waits for a result',
    text: `REQUEST is its name, as luafcgid status and the log have it.\n${WHERE}`,
    words: 2,
    options: {},
  },
  ping: {
    takes: '[WHERE]',
    summary: 'ask whether a running server answers',
    text: `${WHERE}\nThe exit status is 0 when it does, else 1: for health checks.`,
    words: 1,
    options: { quiet: { type: 'boolean', short: 'q', text: 'print nothing' } },
  },
  reload: {
    takes: '[WHERE]',
    summary: 'have a running server read its configuration anew',
    text: `${SIGNALS}\nThe command waits for the outcome and prints it. The exit status is 1 when the configuration was refused.`,
    words: 1,
    options: {},
  },
  stop: {
    takes: '[WHERE]',
    summary: 'stop a running server in order',
    text: `${SIGNALS}\nThe command waits until the server has ended.`,
    words: 1,
    options: {},
  },
  reopen: {
    takes: '[WHERE]',
    summary: 'have a running server open its log files anew',
    text: SIGNALS,
    words: 1,
    options: {},
  },
  log: {
    takes: '[WHERE]',
    summary: 'list the errors of a running server by script and line, with counts',
    text: WHERE,
    words: 1,
    options: { json: { type: 'boolean', text: 'as JSON' } },
  },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;

/** All commands that have a name. */
const NAMES: readonly CommandName[] = (Object.keys(COMMANDS) as CommandName[]).filter((name) => name !== SERVER);

const GENERAL: Readonly<Record<string, OptionHelp>> = {
  help: { type: 'boolean', short: 'h', text: 'this text; "luafcgid COMMAND --help" has that of a command' },
  version: { type: 'boolean', short: 'v', text: 'the version' },
};

/** A command line that was understood. */
export interface CommandLine {
  readonly command: CommandName;
  readonly values: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  /** What is left besides options. */
  readonly words: readonly string[];
}

/** @throws UsageError */
export function readCommandLine(argv: readonly string[]): CommandLine {
  // The first word is found without knowing the command, whose options with values come behind it.
  const [first] = argv;
  const isNamed = NAMES.includes(first as CommandName);
  const command = isNamed ? (first as CommandName) : SERVER;
  const known: Command = COMMANDS[command];
  const options = { ...GENERAL, ...known.options };
  let parsed: ReturnType<typeof parseArgs>;
  try {
    const args = argv.slice(isNamed ? 1 : 0).map((word) => withValue(word, options));
    parsed = parseArgs({ args, options: parseable(options), allowPositionals: true });
  } catch (error) {
    throw optionError(error as Error, command, Object.keys(options));
  }
  const { values, positionals: words } = parsed;
  if (command === SERVER && words[0] !== undefined) requireNoMisspelling(words[0]);
  const limit = known.words;
  if (words.length > limit && values.help !== true) {
    throw new UsageError(
      `one ${command === SERVER ? 'file' : 'argument'} expected, got ${words.length}: ${words.join(' ')}`,
    );
  }
  return { command, values, words };
}

/** A value for an option that may have none. */
function withValue(word: string, options: Readonly<Record<string, OptionHelp>>): string {
  const otherwise = word.startsWith('--') ? options[word.slice(2)]?.otherwise : undefined;
  return otherwise === undefined ? word : `${word}=${otherwise}`;
}

function parseable(options: Readonly<Record<string, OptionHelp>>) {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple }]) => [
      name,
      { type, ...(short !== undefined && { short }), ...(multiple === true && { multiple }) },
    ]),
  );
}

/** A word that is neither a command nor looks like a file. */
function requireNoMisspelling(word: string): void {
  if (/[./\\]/.test(word) || existsSync(word)) return;
  const meant = nearestName(word, NAMES);
  const hint = meant === undefined ? `there are ${NAMES.join(', ')}` : `did you mean ${meant}?`;
  throw new UsageError(`unknown command "${word}"; ${hint}`);
}

function optionError(error: Error, command: CommandName, known: readonly string[]): UsageError {
  const call = command === SERVER ? 'luafcgid' : `luafcgid ${command}`;
  const unknown = /^Unknown option '(--?[^']*)'/.exec(error.message)?.[1];
  if (unknown === undefined) return new UsageError(error.message.split('\n', 1)[0] as string);
  const meant = nearestName(unknown.replace(/^-+/, ''), known);
  return new UsageError(
    `${unknown} is no option of "${call}"${meant === undefined ? '' : `; did you mean --${meant}?`}`,
  );
}

/** What `--help` prints. @param settings those of the configuration file, for the server itself */
export function helpText(command: CommandName, settings: () => string): string {
  const { takes, summary, text, options }: Command = COMMANDS[command];
  if (command !== SERVER) {
    const parts = [`Usage: luafcgid ${command} ${takes}`, `${capitalise(summary)}.`, text, optionList(options)];
    return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
  }
  const commands = NAMES.map((name) => [`luafcgid ${name} ${COMMANDS[name].takes}`, COMMANDS[name].summary] as const);
  const usage = [[`luafcgid ${takes}`, summary] as const, ...commands];
  return `Usage:\n${columns(usage)}\n${optionList({ ...options, ...GENERAL })}\n${settings()}\n`;
}

function optionList(options: Readonly<Record<string, OptionHelp>>): string {
  const rows = Object.entries(options).map(([name, { short, value, text, otherwise }]) => {
    const names = `${short === undefined ? '' : `-${short}, `}--${name}`;
    if (otherwise !== undefined) return [`${names}[=${value}]`, text] as const;
    return [value === undefined ? names : `${names} ${value}`, text] as const;
  });
  return rows.length === 0 ? '' : `Options:\n${columns(rows)}`;
}

function columns(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('');
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
