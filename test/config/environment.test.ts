/** Settings of the environment: users.md "container image", issue 15 item 6. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { readEnvironment, settingVariables } from '../../src/config/environment.js';
import { ConfigError, formatSettings, loadConfig, type Overrides } from '../../src/config/load.js';
import { createEmbeddedEngine } from '../../src/lua/embedded/engine.js';

const directory = mkdtempSync(join(tmpdir(), 'luafcgid-environment-'));
after(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'config.lua');
const engine = createEmbeddedEngine();

function load(text: string, environment: Record<string, string>, overrides: Overrides = {}) {
  writeFileSync(file, text);
  const loaded = loadConfig(file, overrides, engine, { directory, environment, log: () => {} });
  loaded.hooks.close();
  return loaded;
}

function faultsOf(environment: Record<string, string>): string {
  try {
    load('', environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.faults.map(({ message, remedy }) => `${message}\n${remedy}`).join('\n');
  }
  return assert.fail('there is no fault');
}

describe('settings of the environment', () => {
  it('win over the file, and the command line over them', () => {
    const text = 'workers = 3 maxpost = 1 queue = 7';
    const { config } = load(text, { LUAFCGID_WORKERS: '5', LUAFCGID_MAXPOST: '2' }, { workers: 9 });
    assert.deepEqual([config.workers, config.maxPostBytes, config.queueLimit], [9, 2, 7]);
  });

  it('are text, numbers and truth values as they stand, and JSON where a bracket begins', () => {
    const { config } = load('', {
      LUAFCGID_LISTEN: '["127.0.0.1:9001", "./a.sock"]',
      LUAFCGID_SHOWERRORS: 'false',
      LUAFCGID_WATCHDOG: '2.5',
      LUAFCGID_CONTENTTYPE: 'text/plain; charset=utf-8',
      LUAFCGID_DATA: '{"main": "postgres://app@db/app"}',
      LUAFCGID_APP: '{"title": "Größe", "pages": [1, 2], "open": true}',
    });
    assert.deepEqual(
      config.listen.map((address) => ('port' in address ? address.port : 'path' in address && address.path)),
      [9001, join(directory, 'a.sock')],
    );
    assert.deepEqual([config.showErrors, config.watchdogMs], [false, 2500]);
    assert.equal(config.contentType, 'text/plain; charset=utf-8');
    assert.equal(config.data[0]?.name, 'main');
    const title = Buffer.from('Größe').toString('latin1');
    assert.deepEqual(config.app, { title, pages: [1, 2], open: true });
  });

  it('that are empty are none: Compose makes that of what is not set', () => {
    assert.equal(load('maxpost = 4', { LUAFCGID_MAXPOST: '' }).config.maxPostBytes, 4);
  });

  it('are checked as those of the file are, and named in the faults', () => {
    assert.match(faultsOf({ LUAFCGID_WORKERS: 'many' }), /^workers = "many" \(environment\): must be a whole number/);
    assert.match(
      faultsOf({ LUAFCGID_SHOWERRORS: 'yes' }),
      /^showerrors = "yes" \(environment\): must be true or false/,
    );
    assert.match(
      faultsOf({ LUAFCGID_LISTEN: '["a' }),
      /^listen = \["a \(environment\): must be JSON.*\n.*LUAFCGID_LISTEN/,
    );
    assert.match(faultsOf({ LUAFCGID_APP: '{"a": null}' }), /must be JSON without null/);
  });

  it('show no secret in a fault', () => {
    assert.doesNotMatch(faultsOf({ LUAFCGID_KEYS: '{"session": "hush-hush' }), /hush/);
    assert.doesNotMatch(faultsOf({ LUAFCGID_KEYS: '{"session": "hush-hush"}' }), /hush/);
  });

  it('that do not exist are named, with the one that was meant', () => {
    const notices = (environment: Record<string, string>) => load('', environment).notices;
    assert.deepEqual(notices({ LUAFCGID_WORKRES: '2' }), [
      'LUAFCGID_WORKRES in the environment is ignored: there is no such setting; did you mean LUAFCGID_WORKERS?',
    ]);
    assert.deepEqual(notices({ LUAFCGID_ZZZZ: '2' }), [
      'LUAFCGID_ZZZZ in the environment is ignored: there is no such setting',
    ]);
  });

  it('are not what Kubernetes tells of a service of this name', () => {
    const service = {
      LUAFCGID_SERVICE_HOST: '10.0.0.1',
      LUAFCGID_SERVICE_PORT: '9000',
      LUAFCGID_SERVICE_PORT_FASTCGI: '9000',
      LUAFCGID_PORT: 'tcp://10.0.0.1:9000',
      LUAFCGID_PORT_9000_TCP: 'tcp://10.0.0.1:9000',
      LUAFCGID_PORT_9000_TCP_ADDR: '10.0.0.1',
    };
    assert.deepEqual(readEnvironment(service), { values: {}, faults: [], notices: [] });
    assert.deepEqual(
      settingVariables.filter((name) => name in service),
      [],
    );
  });

  it('are shown by check --dump as what they are', () => {
    const { settings } = load('queue = 7', { LUAFCGID_WORKERS: '5' });
    const lines = formatSettings(settings, file).split('\n');
    assert.ok(
      lines.includes('workers = "5"  -- environment'),
      lines.find((line) => line.startsWith('workers')),
    );
    assert.ok(lines.includes(`queue = 7  -- ${file}`));
  });
});
