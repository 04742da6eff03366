import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { allowedValues } from '../../src/config/bounds.js';
import { configurationPage, optionHelp, sampleConfig } from '../../src/config/config-docs.js';
import type { OptionRow } from '../../src/config/option.js';
import { type OptionName, optionNames, options, type SettableName } from '../../src/config/schema.js';
import { type RawConfig, validate } from '../../src/config/validate.js';
import type { LuaValue, RequestSetting } from '../../src/lua/state.js';

function check(values: RawConfig) {
  return validate([{ values, label: '', absolute: (name) => `/etc/luafcgid/${name}` }], {
    cpus: 4,
    memoryBytes: 2 ** 40,
    hasPassedSockets: false,
  });
}

function convert(name: OptionName, value: LuaValue): unknown {
  const { config, faults } = check({ [name]: value });
  assert.deepEqual(faults, [], `${name} = ${JSON.stringify(value)}`);
  return config[options[name].key];
}

/** Values that the row must refuse. */
function wrongValues(row: OptionRow): readonly LuaValue[] {
  switch (row.type) {
    case 'integer':
    case 'seconds': {
      const below = [row.min - 1, row.min - 2].filter((value) => value !== row.special?.value);
      const half = row.type === 'integer' ? [row.min + 0.5] : [];
      return [...below, ...half, row.max * 2, Number.NaN, Number.POSITIVE_INFINITY, 'many', '', '1 2', true, [row.min]];
    }
    case 'text':
      return ['', 'a\0b', 'a\r\nb\0', true, ['a'], {}];
    case 'choice':
      return ['loud', '', 1, true, [row.choices[0]]];
    case 'boolean':
      return ['true', 'yes', 1, 0, []];
    case 'header-lines':
      return ['no colon', ': value', 'A b: c', 'A: b\0', 'A: b\rC: d', 'A: b\r\n continued', 'Status: 404', true, []];
    case 'addresses':
      return ['', ':', ':http', ':65536', '9000', 9000, '::1:9000', '[::1]', '1.2.3:80', '1.2.3.256:80', 'a b:80', []];
    case 'status-address':
      return [true, [], 9000, 'fd:0', 'systemd', ':9000', '192.0.2.1:9000', '[::]:9000', 'a\0b', '\xff', 'localhost:x'];
    case 'url-path':
      return [true, [], 'status', '/', '/a b', '/a\n', `/${'x'.repeat(200)}`, '/\xff', 1];
    case 'networks':
      return [
        '',
        'localhost',
        '10.0.0.256',
        '10.0.0.0/33',
        '::1/129',
        '10/8',
        '1.2.3.4/',
        'fe80::1%eth0',
        9000,
        [],
        true,
      ];
    case 'mode':
      return ['0888', '66', '06600', 'rw', '', -1, true, []];
    case 'log-target':
      return [true, ['a'], {}, 'a\0b', '\xff', 'syslog:', 'syslog:loud', 'syslog:daemon:log'];
    case 'access-format':
      return [true, {}, '', 'no field', '{state', 'state}', '{}', '{states}', '{param:}', '{time}\n', '\xff{time}'];
    case 'script-files':
      return [true, { a: 'b' }, [true], 'a\0b', '\xff'];
    case 'source-file':
    case 'pid-file':
      return [true, ['a'], {}, 'a\0b', '\xff'];
    case 'user':
    case 'group':
      return ['a b', 'a:b', '-x', true, {}, ['root'], 'a\0b', '\xff'];
    case 'extensions':
      return ['lua', '', '.', '.a/b', true, {}, [true], 'a\0b', '\xff'];
    case 'adapters':
      return ['lp', true, 1, ['cgilua'], { lp: 'php' }, { lp: true }, { 'a/b': 'cgilua' }, { '': 'cgilua' }];
    case 'files':
      return ['a', true, 1, ['a'], { read: true }, { read: [1, true] }, { reads: 'a' }, { write: 'a\0b' }, { 1: 'a' }];
    case 'environment':
      return ['HOME', true, ['A B'], ['A=B'], ['1A'], [true], [['A']], { A: true }, { 'A B': 'x' }, { A: 'x\0y' }];
    case 'sendfile':
      return [
        true,
        'nginx',
        {},
        [],
        ['/srv'],
        { '/srv/': '/x/' },
        { '/srv': 'x' },
        { '/srv': '/x' },
        { srv: '/x/' },
        { '/srv': '/a\r\nb/' },
      ];
    case 'sessions':
      return [
        true,
        1,
        ['memory'],
        '',
        'a b',
        { idle: 0 },
        { idel: 5 },
        { secure: 'yes' },
        { samesite: 'None' },
        { maxsize: 300.5 },
        { path: 'x' },
      ];
    case 'application':
      return ['a', true, 1, { a: { b: 'x'.repeat(70_000) } }];
    case 'keys':
      return [
        'x'.repeat(40),
        true,
        ['x'.repeat(40)],
        { a: 'short' },
        { a: [] },
        { a: [true] },
        { 'a b': 'x'.repeat(40) },
      ];
    case 'data-sources':
      return [
        'postgres://a@b/c',
        true,
        ['sqlite:x'],
        { main: 5 },
        { 'a b': 'sqlite:x' },
        { main: 'oracle://a@b/c' },
        { main: 'postgres://b/c' },
        { main: 'postgres://a@b' },
        { main: 'postgres://a:secret@b/c' },
        { main: 'mysql://a@b/c?password=secret' },
        { main: 'mysql://a@b/c?charset=latin1' },
        { main: 'mysql://a@b:99999/c' },
        { main: 'sqlite:' },
        { main: 'redis://b/x' },
        { main: { 1: 'redis://b', connections: 0 } },
        { main: { 1: 'redis://b', querytimeout: 'soon' } },
        { main: { 1: 'redis://b', tls: 'maybe' } },
        { main: { 1: 'redis://b', password: 'secret' } },
        { main: { 1: 'redis://b', conections: 4 } },
        { main: { 1: 'redis://b', scripts: ['relative.lua'] } },
        { main: { kind: 'redis', host: '' } },
        { main: { kind: 'mongo' } },
      ];
    case 'http':
      return [
        'api.example.com:443',
        true,
        ['api.example.com:443'],
        { allow: 'api.example.com' },
        { allow: ['https://api.example.com'] },
        { allow: ['api.example.com:0'] },
        { allow: ['api.example.com:65536'] },
        { allow: ['*.10.0.0.1:80'] },
        { allow: ['a b:80'] },
        { allow: ['api.example.com:443'], private: true },
        { allow: ['api.example.com:443'], private: ['10.0.0.0/33'] },
        { allow: ['api.example.com:443'], timeout: 0 },
        { allow: ['api.example.com:443'], connections: 1.5 },
        { allow: ['api.example.com:443'], conections: 4 },
        { allow: ['api.example.com:443'], scripts: ['relative.lua'] },
        { allow: ['api.example.com:443'], ca: '' },
      ];
    case 'dictionaries':
      return [
        'cache',
        true,
        [2 ** 20],
        { cache: 'big' },
        { cache: 1000 },
        { cache: 2 ** 31 },
        { cache: 2 ** 20 + 0.5 },
        { cache: {} },
        { cache: { size: 2 ** 20, evict: 'yes' } },
        { cache: { size: 2 ** 20, evicts: true } },
        { 'a b': 2 ** 20 },
        { cache: { store: 5 } },
        { cache: { store: 'main', size: 2 ** 20 } },
        { cache: { store: 'main' } },
      ];
    case 'directories':
    case 'templates':
      return [true, [true], ['a', ['b']], { a: 'b' }, 'a\0b', '\xff'];
  }
}

/** Values that the row must take. */
function rightValues(row: OptionRow): readonly LuaValue[] {
  switch (row.type) {
    case 'integer':
    case 'seconds':
      return [row.min, row.max, String(row.min), ` ${row.max} `, ...(row.special ? [row.special.value] : [])];
    case 'choice':
      return row.choices;
    case 'boolean':
      return [true, false];
    default:
      return [];
  }
}

describe('every option', () => {
  const page = configurationPage();
  const sample = sampleConfig();
  const help = optionHelp();

  it('has a valid default', () => {
    const { config, faults, notices } = check({});
    assert.deepEqual(faults, []);
    assert.deepEqual(notices, []);
    assert.deepEqual(Object.keys(config).sort(), optionNames.map((name) => options[name].key).sort());
  });

  for (const name of optionNames) {
    const row: OptionRow = options[name];
    describe(name, () => {
      it('is one lower-case word', () => assert.match(name, /^[a-z]+$/));

      it('takes what its bounds allow', () => {
        for (const value of [...rightValues(row), ...(row.example === undefined ? [] : [row.example])]) {
          assert.deepEqual(check({ [name]: value }).faults, [], JSON.stringify(value));
        }
      });

      it('refuses what they do not, naming itself, the value and what is allowed', () => {
        for (const value of wrongValues(row)) {
          const { faults } = check({ [name]: value });
          assert.ok(faults.length > 0, `${JSON.stringify(value)} was accepted`);
          for (const fault of faults) {
            assert.equal(fault.option, name);
            assert.match(fault.message, new RegExp(`^${name} = .*: must be .`));
            assert.ok(fault.remedy.length > 0);
          }
        }
      });

      it('is in the documents', () => {
        const section = page.split('\n### ').find((text) => text.startsWith(`${name}\n`));
        assert.ok(section, `no section "${name}" in docs/configuration.md`);
        for (const text of [row.summary, row.text, allowedValues(row)]) assert.ok(section.includes(text), text);
        assert.match(sample, new RegExp(`^--${name} = `, 'm'));
        assert.match(help, new RegExp(`^ {2}${name} +${row.summary.slice(0, 10)}`, 'm'));
      });
    });
  }
});

describe('documents made from the option table', () => {
  for (const [file, text] of [
    ['docs/configuration.md', configurationPage()],
    ['packaging/config.lua', sampleConfig()],
  ] as const) {
    it(`${file} is up to date`, () => {
      assert.equal(readFileSync(file, 'utf8'), text, `run "npm run docs" to write ${file} anew`);
    });
  }
});

describe('values', () => {
  it('takes numeric strings for numbers, as lua_isnumber does', () => {
    for (const [text, number] of [
      ['4', 4],
      [' 4 ', 4],
      ['+4', 4],
      ['0x10', 16],
      ['1e2', 100],
      ['4.', 4],
    ] as const) {
      assert.equal(convert('workers', text), number);
    }
  });

  it('takes numbers for strings', () => {
    assert.equal(convert('httpstatus', 200), '200');
  });

  it('takes an empty table for an empty list', () => {
    assert.deepEqual(convert('root', {}), []);
    assert.deepEqual(convert('path', {}), []);
  });

  it('turns seconds into milliseconds', () => {
    assert.equal(convert('queuetimeout', 0.25), 250);
    assert.equal(check({}).config.halfLifeMs, 600_000);
  });

  it('rounds rings up to a power of two', () => {
    assert.equal(convert('ring', 1024), 1024);
    assert.equal(convert('ring', 1025), 2048);
    assert.equal(convert('ring', 3 * 1024 * 1024), 4 * 1024 * 1024);
  });

  it('has a default for -1 as backlog', () => {
    assert.equal(convert('backlog', -1), 511);
  });

  it('derives workers from the processors, and has at least as many clones and states as workers', () => {
    const { workers, clones, states } = check({}).config;
    assert.deepEqual([workers, clones, states], [4, 64, 256]);
    assert.equal(validate([], { cpus: 1, memoryBytes: 2 ** 40, hasPassedSockets: false }).config.workers, 2);
    assert.equal(validate([], { cpus: 1000, memoryBytes: 2 ** 40, hasPassedSockets: false }).config.workers, 256);
    assert.deepEqual([check({ workers: 99 }).config.clones, check({ workers: 256 }).config.states], [99, 256]);
  });

  it('lets scripts of the embedded engine shorten their watchdog only, those of native ones do what they want', () => {
    assert.equal(check({}).config.watchdogMaxMs, 60_000);
    assert.equal(check({ watchdog: 5 }).config.watchdogMaxMs, 5_000);
    assert.equal(check({ watchdog: 0 }).config.watchdogMaxMs, 0);
    assert.equal(check({ watchdog: 5, watchdogmax: 600 }).config.watchdogMaxMs, 600_000);
    for (const engine of ['lua5.1', 'lua5.4', 'luajit']) {
      assert.equal(check({ watchdog: 5, engine }).config.watchdogMaxMs, 0);
      assert.equal(check({ watchdogmax: 7, engine }).config.watchdogMaxMs, 7_000);
    }
  });

  it('listens by default on loopback, or on the sockets that systemd has passed', () => {
    assert.deepEqual(check({}).config.listen, [{ kind: 'tcp', host: '127.0.0.1', port: 9000 }]);
    const passed = { cpus: 1, memoryBytes: 2 ** 40, hasPassedSockets: true };
    assert.deepEqual(validate([], passed).config.listen, [{ kind: 'systemd', name: undefined }]);
  });

  it('reads the digits of a socket mode as octal', () => {
    assert.equal(convert('socketmode', '0660'), 0o660);
    assert.equal(convert('socketmode', 660), 0o660);
    assert.equal(convert('socketmode', '1777'), 0o1777);
  });

  it('takes any header name that is no setting of its own', () => {
    assert.equal(convert('headers', 'constructor: x'), 'constructor: x\r\n');
  });

  it('ends each header with CRLF, whatever ended it before', () => {
    assert.equal(convert('headers', 'A: b'), 'A: b\r\n');
    assert.equal(convert('headers', 'A: b\nC-D:\tü\r\n\n'), 'A: b\r\nC-D:\tü\r\n');
    assert.equal(convert('headers', ''), '');
  });

  it('splits templates, and completes relative ones', () => {
    assert.deepEqual(convert('path', 'a/?.lua;;b/?.lua;'), ['/etc/luafcgid/a/?.lua', '/etc/luafcgid/b/?.lua']);
    assert.deepEqual(convert('path', ['a;b', 'c']), ['/etc/luafcgid/a', '/etc/luafcgid/b', '/etc/luafcgid/c']);
    assert.deepEqual(convert('path', ''), []);
  });

  it('takes file names as UTF-8, and an empty name for none', () => {
    assert.deepEqual(convert('logfile', 'gr\xc3\xbc\xc3\x9fe.log'), { kind: 'file', path: '/etc/luafcgid/grüße.log' });
    assert.equal(convert('logfile', ''), undefined);
  });

  it('takes an extension, a list of them, or all names', () => {
    assert.deepEqual(convert('extensions', '.lua'), ['.lua']);
    assert.deepEqual(convert('extensions', ['.lua', '.lp']), ['.lua', '.lp']);
    assert.deepEqual(convert('extensions', '*'), []);
    assert.equal(check({ extensions: 'lua' }).faults[0]?.remedy, 'Write ".lua".');
  });

  it('takes directories to read and to write, each for itself', () => {
    const data = '/etc/luafcgid/data';
    assert.deepEqual(convert('files', { read: 'data' }), { read: [data], write: [] });
    assert.deepEqual(convert('files', { write: ['data', 'x'], read: {} }), {
      read: [],
      write: [data, '/etc/luafcgid/x'],
    });
    assert.equal(convert('files', undefined), undefined);
  });

  it('takes names of environment variables, values for them, and both', () => {
    const asObject = (value: LuaValue): unknown => ({ ...(convert('environment', value) as object) });
    assert.deepEqual(asObject(['HOME', 'TZ']), { HOME: true, TZ: true });
    assert.deepEqual(asObject({ 1: 'HOME', MODE: 'test', N: 5 }), { HOME: true, MODE: 'test', N: '5' });
    assert.deepEqual(asObject({}), {});
  });

  it('refuses what would not confine native scripts, also with --engine (users D8)', () => {
    for (const values of [{ files: { read: '/x' } }, { environment: ['HOME'] }]) {
      assert.deepEqual(check({ ...values, engine: 'embedded' }).faults, []);
      const [fault] = check({ ...values, engine: 'lua5.1' }).faults;
      assert.match(fault?.message ?? '', /must be left out with engine = "lua5.1", whose scripts reach all/);
    }
  });

  it('reports every wrong member of a list', () => {
    assert.equal(check({ listen: [':x', '/ok.sock', '1.2.3:4'] }).faults.length, 2);
  });

  it('refuses an address listed twice', () => {
    assert.match(check({ listen: [':80', '*:80'] }).faults[0]?.message ?? '', /listed once/);
  });

  it('takes the last source that has an option', () => {
    const source = (values: RawConfig, label: string) => ({ values, label, absolute: (name: string) => name });
    const { config, faults } = validate(
      [source({ workers: 3, states: 9 }, ''), source({ workers: 0, maxpost: 1 }, ' (command line)')],
      { cpus: 4, memoryBytes: 2 ** 40, hasPassedSockets: false },
    );
    assert.deepEqual([config.states, config.maxPostBytes], [9, 1]);
    assert.match(faults[0]?.message ?? '', /^workers = 0 \(command line\): must be a whole number from 1 to 256$/);
  });
});

describe('notices', () => {
  it('come for settings without effect, when they are set', () => {
    assert.match(check({ retries: 1 }).notices.join('\n'), /^retries = 1: no effect/);
    assert.deepEqual(check({ headersize: 64, bodysize: 1024 }).notices, []);
  });

  it('come for fewer states than workers', () => {
    assert.match(check({ states: 3, workers: 4 }).notices.join('\n'), /^states = 3 is less than workers = 4/);
    assert.deepEqual(check({ states: 4, workers: 4 }).notices, []);
    assert.deepEqual(check({ workers: 200 }).notices, []);
  });
});

it('the settings that scripts may change are those of con:config', () => {
  // Checked by the compiler, both ways.
  const toHost: RequestSetting = 'buffering' as SettableName;
  const toTable: SettableName = 'buffering' as RequestSetting;
  assert.equal(toHost, toTable);
});
