import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bequeath, noService, passOn, takeServiceEnvironment } from '../../src/process/environment.js';

const PID = 500;
const PARENT = 400;
const take = (environment: Record<string, string | undefined>) =>
  takeServiceEnvironment(environment, PID, PARENT, ['LUAFCGID_WORKERS', 'LUAFCGID_KEYS']);

describe('what a service manager hands over', () => {
  it('are sockets with their names, where to tell how it is, and how often', () => {
    const environment = {
      LISTEN_PID: '500',
      LISTEN_FDS: '2',
      LISTEN_FDNAMES: 'web.socket:admin',
      NOTIFY_SOCKET: '@manager',
      WATCHDOG_PID: '500',
      WATCHDOG_USEC: '30000000',
      PATH: '/bin',
    };
    assert.deepEqual(take(environment), {
      sockets: [
        { fd: 3, name: 'web.socket' },
        { fd: 4, name: 'admin' },
      ],
      notifySocket: '@manager',
      watchdogMs: 30_000,
      isBackground: false,
      kept: [],
      settings: {},
    });
    assert.deepEqual(environment, { PATH: '/bin' }, 'no child takes it for its own');
  });

  it('to another process is not taken, and removed all the same', () => {
    const environment = { LISTEN_PID: '400', LISTEN_FDS: '2', WATCHDOG_PID: '400', WATCHDOG_USEC: '1000' };
    assert.deepEqual(take(environment), noService);
    assert.deepEqual(environment, {});
  });

  it('may lack names, and is nothing when it makes no sense', () => {
    assert.deepEqual(take({ LISTEN_PID: '500', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a' }).sockets, [
      { fd: 3, name: 'a' },
      { fd: 4, name: 'unknown' },
    ]);
    for (const count of ['', '-1', '1.5', 'many', '0', undefined]) {
      assert.deepEqual(take({ LISTEN_PID: '500', LISTEN_FDS: count }), noService);
      assert.deepEqual(take({ NOTIFY_SOCKET: '', WATCHDOG_USEC: count }), noService);
    }
  });

  it('reaches the process in the background', () => {
    const service = { ...noService, sockets: [{ fd: 3, name: 'web' }] };
    const environment = passOn(service, PARENT);
    assert.deepEqual(take(environment), { ...service, isBackground: true });
    assert.deepEqual(take(passOn(noService, PARENT)), { ...noService, isBackground: true });
    // Left over from another parent.
    assert.deepEqual(take(passOn(service, 7)), noService);
  });

  it('reaches the program that takes this one’s place, and no other', () => {
    const bound = { kind: 'unix', path: '/run/a.sock' } as const;
    const service = { ...noService, notifySocket: '@manager', kept: [{ wanted: '/run/a.sock', bound, fd: 9 }] };
    const environment: Record<string, string | undefined> = bequeath(service, PID);
    assert.deepEqual(take({ ...environment }), service);
    take(environment);
    assert.deepEqual(environment, {});
    assert.deepEqual(take(bequeath(service, 7)), noService);
  });

  it('has settings of the server taken out, and passed on to those who need them', () => {
    const environment = { LUAFCGID_WORKERS: '2', LUAFCGID_KEYS: '{}', LUAFCGID_OTHER: 'x', PATH: '/bin' };
    const service = take(environment);
    const settings = { LUAFCGID_WORKERS: '2', LUAFCGID_KEYS: '{}' };
    assert.deepEqual(service.settings, settings);
    assert.deepEqual(environment, { LUAFCGID_OTHER: 'x', PATH: '/bin' });
    assert.deepEqual(take(passOn(service, PARENT)).settings, settings);
    assert.deepEqual(take(bequeath(service, PID)).settings, settings);
  });
});
