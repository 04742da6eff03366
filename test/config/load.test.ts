import assert from 'node:assert/strict';
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { LuafcgidError } from '../../src/base/errors.js';
import { sampleConfig } from '../../src/config/config-docs.js';
import { checkFiles } from '../../src/config/files.js';
import {
  ConfigError,
  type ConfigFault,
  checkConfig,
  formatConfigError,
  loadConfig,
  type Overrides,
  type Surroundings,
  scriptValues,
} from '../../src/config/load.js';
import { optionNames, options } from '../../src/config/schema.js';
import { createEmbeddedEngine } from '../../src/lua/embedded/engine.js';

const engine = createEmbeddedEngine();

/** The settings of the C daemon's Debian sample, with the paths moved into a directory of the test. */
const C_DAEMON_SETTINGS = `
listen = "luafcgid.sock"
workers = 4
states = workers * 2
clones = states
sweep = 10000
retries = 1
showerrors = true
buffering = true
headersize = 64
bodysize = 1024
headers = "X-Powered-By: Lua\\r\\n"
handler = "main"
httpstatus = "200 OK"
contenttype = "text/html"
maxpost = 1024 * 1024
logfile = "log/luafcgid.log"
`;

let directory: string;
let logged: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luafcgid-config-'));
  logged = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const file = join(directory, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

function surroundings(environment: Surroundings['environment'] = {}): Surroundings {
  const log: Surroundings['log'] = (_level, text) => logged.push(text);
  return {
    directory,
    environment,
    cpus: 4,
    memoryBytes: 2 ** 40,
    hasPassedSockets: false,
    open: [],
    isReload: false,
    isOfOther: false,
    log,
  };
}

function load(script: string, overrides: Overrides = {}, environment: Surroundings['environment'] = {}) {
  return loadConfig(write('config.lua', script), overrides, engine, surroundings(environment));
}

function faultsOf(script: string, overrides: Overrides = {}): readonly ConfigFault[] {
  try {
    load(script, overrides).hooks.close();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.faults;
  }
  assert.fail('the configuration was accepted');
}

function messages(faults: readonly ConfigFault[]): string {
  return faults.map((fault) => `${fault.message}\n${fault.remedy}`).join('\n');
}

describe('loading a configuration', () => {
  it('takes the settings of the C daemon, and says that retries has no effect', () => {
    mkdirSync(join(directory, 'log'));
    const { config, notices, file } = load(C_DAEMON_SETTINGS);
    assert.equal(file, join(directory, 'config.lua'));
    assert.equal(notices.length, 1);
    assert.match(notices[0] ?? '', /^retries = 1: no effect/);
    assert.deepEqual(config.listen, [{ kind: 'unix', path: join(directory, 'luafcgid.sock') }]);
    assert.deepEqual([config.workers, config.states, config.clones, config.sweepMs], [4, 8, 8, 10_000]);
    assert.deepEqual(config.logFile, { kind: 'file', path: join(directory, 'log/luafcgid.log') });
    assert.equal(config.headers, 'X-Powered-By: Lua\r\n');
  });

  it('freezes everything', () => {
    const { config } = load('listen = { ":9000", "[::1]:9001" }');
    assert.ok(Object.isFrozen(config) && Object.isFrozen(config.listen) && config.listen.every(Object.isFrozen));
  });

  it('lets the script see the environment', () => {
    const { config } = load('workers = os.getenv("WORKERS"); states = os.getenv("NONE")', {}, { WORKERS: '7' });
    assert.deepEqual([config.workers, config.states], [7, 256]);
  });

  it('lets the script load further files, from its own directory', () => {
    write('more/site.lua', 'maxpost = 5');
    write('shared.lua', 'return { workers = 6 }');
    const { config } = load('dofile("more/site.lua"); workers = require("shared").workers');
    assert.deepEqual([config.maxPostBytes, config.workers], [5, 6]);
  });

  it('sends what the script prints to the log', () => {
    load('print("workers", 4)');
    assert.deepEqual(logged, ['workers\t4']);
  });

  it('starts relative names at the directory of the file, wherever it is loaded from', () => {
    write('site/pre.lua', '');
    mkdirSync(join(directory, 'site/pages'));
    const file = write('site/c.lua', 'preload = "pre.lua"; root = { "pages", "." }; path = "lib/?.lua"');
    const { config } = loadConfig('site/c.lua', {}, engine, surroundings());
    assert.equal(config.preload, join(dirname(file), 'pre.lua'));
    assert.deepEqual(config.root, [join(dirname(file), 'pages'), dirname(file)]);
    assert.deepEqual(config.path, [join(dirname(file), 'lib/?.lua')]);
  });

  it('lets the command line win, its relative names starting at the working directory', () => {
    mkdirSync(join(directory, 'grüße'));
    const { config } = load('workers = 3; states = 9', {
      workers: 5,
      root: 'grüße',
      listen: ['a.sock', '127.0.0.1:0'],
    });
    assert.deepEqual([config.workers, config.states], [5, 9]);
    assert.deepEqual(config.root, [join(directory, 'grüße')]);
    assert.equal(config.listen.length, 2);
  });

  it('gives scripts what they may know, in the units of the file', () => {
    const values = scriptValues(load('queuetimeout = 1.5; logfile = "a.log"').config);
    assert.equal(values.queuetimeout, 1.5);
    assert.equal(values.contenttype, 'text/html');
    const hidden = optionNames.filter((name) => options[name].script === 'hidden');
    assert.deepEqual(
      hidden.filter((name) => name in values),
      [],
    );
    assert.equal(Object.keys(values).length + hidden.length, optionNames.length);
  });
});

describe('without a file', () => {
  it('listens on loopback only', () => {
    const { config, file } = loadConfig(undefined, {}, engine, surroundings());
    assert.equal(file, undefined);
    assert.deepEqual(config.listen, [{ kind: 'tcp', host: '127.0.0.1', port: 9000 }]);
  });

  it('takes config.lua of the working directory, unless told not to', () => {
    write('config.lua', 'workers = 9');
    assert.equal(loadConfig(undefined, {}, engine, surroundings()).config.workers, 9);
    assert.equal(loadConfig(null, {}, engine, surroundings()).config.workers, 4);
  });

  it('does not pass over a broken config.lua of the working directory', () => {
    write('config.lua', 'workers = 0');
    assert.throws(() => loadConfig(undefined, {}, engine, surroundings()), ConfigError);
  });

  it('refuses a wrong command line, and says so', () => {
    try {
      loadConfig(null, { listen: '9000' }, engine, surroundings());
      assert.fail('accepted');
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      assert.match(formatConfigError(error), /^command line: 1 fault\n {2}listen = "9000" \(command line\): must be/);
    }
  });
});

describe('a configuration that cannot be used', () => {
  it('refuses a file that is missing, and one that is a directory', () => {
    for (const [name, reason] of [
      ['none.lua', 'there is no such file'],
      ['.', 'this is a directory, not a file'],
    ] as const) {
      assert.throws(
        () => loadConfig(name, {}, engine, surroundings()),
        (error) => error instanceof ConfigError && error.faults[0]?.message.includes(reason) === true,
      );
    }
  });

  it('names the line of a syntax error', () => {
    const faults = faultsOf('workers = 4\nstates = = 5\n');
    assert.equal(faults.length, 1);
    assert.equal(faults[0]?.code, 'LUAFCGID_CONFIG_SCRIPT');
    assert.match(faults[0]?.message ?? '', /^syntax error: .*config\.lua:2: /);
  });

  it('names the line of a runtime error, and still checks what was set before it', () => {
    const faults = faultsOf('workers = 0\nlocal x = nil + 1\nstates = 0');
    assert.match(messages(faults), /error while the script ran: .*config\.lua:2: attempt to perform arithmetic/);
    assert.deepEqual(
      faults.map((fault) => fault.option),
      [undefined, 'workers'],
    );
  });

  it('reports errors of every kind of value', () => {
    for (const script of ['error()', 'error({})', 'error(nil)', 'error("\\255")']) {
      assert.equal(faultsOf(script)[0]?.code, 'LUAFCGID_CONFIG_SCRIPT', script);
    }
  });

  it('reports a script that takes all memory', () => {
    const faults = faultsOf('workers = 0; local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6) .. i end');
    assert.equal(faults[0]?.code, 'LUAFCGID_CONFIG_SCRIPT');
    assert.match(faults[0]?.message ?? '', /memory/);
  });

  it('lists all faults at once, each with its value, what is allowed and a remedy', () => {
    write('file', '');
    const faults = faultsOf(`
      workers = "many"
      maxpost = -1
      loglevel = "loud"
      listen = { "9000", "127.0.0.1:9000", "file", "none/luafcgid.sock" }
      headers = "Status: 404"
      wokers = 3
      function helper() end
      startup = true
      handler = function() end
      preload = "missing.lua"
      root = { ".", "file" }
      logfile = "none/luafcgid.log"
    `);
    const text = messages(faults);
    for (const expected of [
      'workers = "many": must be a whole number from 1 to 256',
      'maxpost = -1: must be a whole number of bytes, at least 0',
      'loglevel = "loud": must be "debug", "info", "warn" or "error"',
      'listen = "9000": must be an address',
      'a file that is no socket has this name',
      `there is no directory ${directory}/none`,
      'Use the option httpstatus.',
      'wokers = 3: there is no such setting\nDid you mean "workers"?',
      'helper = function: there is no such setting\nCorrect the name, or write "local" before it',
      'startup = true: must be a function',
      'handler = function: must be text',
      `preload = "${directory}/missing.lua": there is no such file`,
      `root = "${directory}/file": this is no directory`,
      `Create it: mkdir -p ${directory}/none`,
    ]) {
      assert.ok(text.includes(expected), `${expected}\n--- is not in ---\n${text}`);
    }
    assert.equal(faults.length, 14);
    assert.ok(faults.every((fault) => fault.remedy.length > 0 && fault.code.startsWith('LUAFCGID_CONFIG_')));
  });

  it('say of a page that it is none: users.md section 1', () => {
    const [fault] = faultsOf('function main(env, con) end');
    assert.match(fault?.remedy ?? '', /^This looks like a page: "luafcgid run FILE" runs one/);
  });

  for (const [wrong, meant] of [
    ['worker', 'workers'],
    ['woker', 'workers'],
    ['list', 'listen'],
    ['max_post', 'maxpost'],
    ['logFile', 'logfile'],
    ['queueTimeout', 'queuetimeout'],
    ['swepe', 'sweep'],
    ['show_errors', 'showerrors'],
    ['houskeeping', 'housekeeping'],
  ]) {
    it(`takes ${wrong} for ${meant}`, () => {
      assert.match(messages(faultsOf(`${wrong} = 1`)), new RegExp(`Did you mean "${meant}"\\?`));
    });
  }

  it('suggests nothing for a name unlike all others', () => {
    assert.doesNotMatch(messages(faultsOf('database = 1')), /Did you mean/);
  });

  it('leaves local variables alone', () => {
    load('local database = 1; local function helper() return 5 end; workers = helper()');
  });

  it('leaves no file, socket or log behind', () => {
    load('listen = "a.sock"; logfile = "a.log"');
    assert.throws(() => rmSync(join(directory, 'a.sock')));
    assert.throws(() => rmSync(join(directory, 'a.log')));
  });

  it('asks of no socket, log or pid file of a server that runs whether it may be created (users B1)', () => {
    write('a.lua', '');
    const { config } = load('preload = "a.lua"; logfile = "a.log"; pidfile = "a.pid"; listen = { "a.sock", "b.sock" }');
    const open = [{ kind: 'unix', path: join(directory, 'a.sock') }] as const;
    const text = messages(checkFiles(config, { open, isReload: true }, () => false));
    assert.doesNotMatch(text, /a\.sock|a\.log|pidfile/);
    assert.match(text, /listen = .*b\.sock": nothing may be created in /);
    assert.match(text, /preload = .*: the file may not be read/);
  });

  it('takes no config.lua of another user that nobody has named (attacks F13.15)', () => {
    const file = write('config.lua', 'workers = 3');
    const take = () => loadConfig(undefined, {}, engine, surroundings());
    assert.equal(take().config.workers, 3);
    if (process.geteuid?.() !== 0) return;
    chownSync(file, 12_345, 12_345);
    assert.throws(take, { code: 'LUAFCGID_CONFIG_STRANGER', message: /belongs to user 12345/ });
    assert.equal(loadConfig(file, {}, engine, surroundings()).config.workers, 3);
  });

  it('refuses two addresses of which one takes the connections of the other (reports Q4)', () => {
    for (const listen of [
      '{ "[::]:9000", "0.0.0.0:9000" }',
      '{ "0.0.0.0:9000", ":9000" }',
      '{ ":9000", "127.0.0.1:9000" }',
      '{ ":9000", "[::]:9000" }',
    ]) {
      const [fault, ...others] = faultsOf(`listen = ${listen}`);
      assert.match(fault?.message ?? '', /listen = .*: the server listens there already, at ".*:9000", which takes /);
      assert.equal(others.length, 0, listen);
    }
    for (const listen of [
      '{ ":9000", "127.0.0.1:9001" }',
      '{ "127.0.0.1:9000", "[::1]:9000" }',
      '{ ":0", "127.0.0.1:0" }',
    ]) {
      load(`listen = ${listen}`).hooks.close();
    }
  });

  it('refuses files that the server may not read or write', () => {
    write('a.lua', '');
    write('a.log', '');
    const { config } = load('preload = "a.lua"; logfile = "a.log"; listen = "a.sock"');
    const text = messages(checkFiles(config, { open: [], isReload: false }, () => false));
    assert.match(text, /listen = .*: nothing may be created in .*\nLet the server's user write to /);
    assert.match(text, /preload = .*: the file may not be read/);
    assert.match(text, /logfile = .*: the file may not be written/);
  });

  it('refuses values that exist in Lua only, where they would be taken for nil', () => {
    for (const value of ['io.stderr', 'coroutine.create(print)', '{ io.stderr }', '{ 1, nil, 3 }', 'print']) {
      const faults = faultsOf(`logfile = ${value}`);
      assert.deepEqual([faults.length, faults[0]?.option], [1, 'logfile'], value);
    }
    assert.equal(faultsOf('root = { ".", nil, "." }').length, 1);
    assert.equal(faultsOf('mine = io.stderr')[0]?.code, 'LUAFCGID_CONFIG_UNKNOWN');
  });
});

describe('hooks', () => {
  const HOOKS = `
    local calls = 0
    function startup() calls = calls + 1; print("start " .. calls) end
    function housekeeping() calls = calls + 1; print("sweep " .. calls) end
  `;

  it('run in the state of the script, as often as they are called', () => {
    const { hooks } = load(HOOKS);
    assert.deepEqual([...hooks.names].sort(), ['housekeeping', 'startup']);
    hooks.run('startup');
    hooks.run('housekeeping');
    hooks.run('housekeeping');
    hooks.run('shutdown');
    hooks.close();
    assert.deepEqual(logged, ['start 1', 'sweep 2', 'sweep 3']);
  });

  it('are none when the script defines none', () => {
    assert.deepEqual(load('workers = 2').hooks.names, []);
  });

  it('fail with an error of the catalogue that names hook and line', () => {
    const { hooks } = load('function shutdown()\n  error("no way")\nend');
    assert.throws(
      () => hooks.run('shutdown'),
      (error) =>
        error instanceof LuafcgidError &&
        error.code === 'LUAFCGID_CONFIG_HOOK' &&
        /shutdown\(\).*config\.lua:2: no way/.test(error.message),
    );
    hooks.close();
  });
});

describe('checking a configuration', () => {
  it('says that a file is valid, with its notices', () => {
    const file = write('c.lua', 'retries = 1');
    const { valid, text } = checkConfig(file, engine, surroundings());
    assert.equal(valid, true);
    assert.match(text, new RegExp(`^${file} is valid\n {2}retries = 1: no effect`));
  });

  it('lists the faults of one that is not, and runs no hook', () => {
    const file = write('c.lua', 'workers = 0; states = 0; function startup() print("ran") end');
    const { valid, text } = checkConfig(file, engine, surroundings());
    assert.equal(valid, false);
    assert.match(
      text,
      new RegExp(`^${file}: 2 faults\n {2}workers = 0: must be .*\n {6}Correct it.*\n {2}states = 0: `),
    );
    assert.deepEqual(logged, []);
  });
});

describe('the sample', () => {
  it('is a valid configuration', () => {
    const file = write('config.lua', sampleConfig());
    assert.deepEqual(checkConfig(file, engine, surroundings()), { valid: true, text: `${file} is valid` });
  });

  it('holds settings that are right but for the files they name', () => {
    const faults = faultsOf(sampleConfig().replace(/^--(?=\w)/gm, ''));
    assert.deepEqual(
      faults.filter((fault) => fault.code !== 'LUAFCGID_CONFIG_PLACE'),
      [],
    );
  });
});
