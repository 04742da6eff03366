import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { Epoll, EpollEvent } from '../../src/linux/epoll.js';
import { clearEventfd, closeEventfd, createEventfd, ringEventfd } from '../../src/linux/eventfd.js';
import { kernelSockets } from '../../src/linux/sockets.js';

function newEpoll(t: TestContext, maxEvents = 8): Epoll {
  const epoll = new Epoll(maxEvents);
  t.after(() => epoll.close());
  return epoll;
}

function newBell(t: TestContext): number {
  const fd = createEventfd();
  t.after(() => closeEventfd(fd));
  return fd;
}

/** What is told, by descriptor. */
function told(epoll: Epoll): [fd: number, events: number][] {
  const count = epoll.wait(0);
  return Array.from({ length: count }, (_, at) => [epoll.fdAt(at), epoll.eventsAt(at)] as [number, number]).sort(
    ([a], [b]) => a - b,
  );
}

describe('epoll', () => {
  it('tells of what is ready, again and again, until it is dealt with', (t) => {
    const epoll = newEpoll(t);
    const bell = newBell(t);
    epoll.add(bell, EpollEvent.IN);
    assert.deepEqual(told(epoll), []);
    ringEventfd(bell);
    ringEventfd(bell);
    for (let round = 0; round < 3; round += 1) assert.deepEqual(told(epoll), [[bell, EpollEvent.IN]]);
    clearEventfd(bell);
    assert.deepEqual(told(epoll), []);
  });

  it('tells of each by its own number, whatever the order', (t) => {
    const epoll = newEpoll(t, 64);
    const bells = Array.from({ length: 40 }, () => newBell(t));
    for (const bell of bells) epoll.add(bell, EpollEvent.IN | EpollEvent.OUT);
    for (const bell of bells) if (bell % 3 === 0) ringEventfd(bell);
    assert.deepEqual(
      told(epoll),
      bells.map((bell) => [bell, EpollEvent.OUT | (bell % 3 === 0 ? EpollEvent.IN : 0)]),
    );
  });

  it('tells at most as many at once as it was made for, and the others next time', (t) => {
    const epoll = newEpoll(t, 2);
    const bells = [newBell(t), newBell(t), newBell(t)];
    for (const bell of bells) {
      epoll.add(bell, EpollEvent.IN);
      ringEventfd(bell);
    }
    const seen = new Set<number>();
    for (let round = 0; round < 2; round += 1) {
      const now = told(epoll);
      assert.equal(now.length, 2);
      for (const [fd] of now) seen.add(fd);
    }
    assert.deepEqual([...seen].sort(), [...bells].sort());
  });

  it('watches for other events when told to, and no more when removed', (t) => {
    const epoll = newEpoll(t);
    const bell = newBell(t);
    ringEventfd(bell);
    epoll.add(bell, 0);
    assert.deepEqual(told(epoll), []);
    epoll.change(bell, EpollEvent.IN);
    assert.deepEqual(told(epoll), [[bell, EpollEvent.IN]]);
    epoll.remove(bell);
    assert.deepEqual(told(epoll), []);
    epoll.add(bell, EpollEvent.IN);
    assert.deepEqual(told(epoll), [[bell, EpollEvent.IN]]);
  });

  it('throws the errors of the system', (t) => {
    const epoll = newEpoll(t);
    const bell = newBell(t);
    epoll.add(bell, EpollEvent.IN);
    assert.throws(() => epoll.add(bell, EpollEvent.IN), { code: 'EEXIST', syscall: 'epoll_ctl' });
    assert.throws(() => epoll.add(-1, EpollEvent.IN), { code: 'EBADF' });
    const file = openSync(process.execPath, 'r');
    t.after(() => closeSync(file));
    assert.throws(() => epoll.add(file, EpollEvent.IN), { code: 'EPERM' });
    assert.throws(() => epoll.remove(newBell(t)), { code: 'ENOENT' });
  });
});

describe('a bell', () => {
  it('that nobody rang is silent, and clearing it changes nothing', (t) => {
    const epoll = newEpoll(t);
    const bell = newBell(t);
    epoll.add(bell, EpollEvent.IN);
    clearEventfd(bell);
    assert.deepEqual(told(epoll), []);
  });

  it('is rung any number of times at once', (t) => {
    const epoll = newEpoll(t);
    const bell = newBell(t);
    epoll.add(bell, EpollEvent.IN);
    for (let rings = 0; rings < 1000; rings += 1) ringEventfd(bell);
    assert.equal(told(epoll).length, 1);
    clearEventfd(bell);
    assert.deepEqual(told(epoll), []);
    ringEventfd(bell);
    assert.equal(told(epoll).length, 1);
  });
});

describe('the next descriptor', () => {
  it('is the lowest free number, and looking for it takes none', (t) => {
    const bell = newBell(t);
    const next = kernelSockets.nextDescriptor(bell);
    assert.equal(kernelSockets.nextDescriptor(bell), next);
    assert.equal(newBell(t), next);
    assert.ok(kernelSockets.nextDescriptor(bell) > next);
    assert.ok(kernelSockets.descriptorLimit() > next);
  });

  it('of a number that is no descriptor is none', () => {
    assert.equal(kernelSockets.nextDescriptor(-1), -1);
  });
});
