import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { LINGER_MS } from '../../../../src/front/io/socket-writer.js';
import { Errno } from '../../../../src/linux/libc.js';
import { closeDescriptor, duplicate, type RawClient } from '../../../support/raw-client.js';
import { type Call, EpollRig, type EpollRigOptions, type Fault } from '../../support/epoll-rig.js';
import { answer, body, head, request } from '../../support/requests.js';

const ECONNRESET = 104;
const EPIPE = 32;
const EINVAL = 22;
const LOOPBACK = { family: 'ipv4', address: '127.0.0.1', port: 0 } as const;

function rigWithClient(t: TestContext, options: EpollRigOptions = {}, tcp = false) {
  const rig = new EpollRig(t, options);
  const { address } = rig.listen(tcp ? LOOPBACK : undefined);
  const client = rig.connect(address);
  return { rig, address, client };
}

function text(response: { readonly stdout: Buffer }): string {
  return response.stdout.toString('latin1');
}

/** A request whose body the worker does not read: its connection is paused. */
function pausedConnection(t: TestContext, tcp: boolean) {
  const { rig, address, client } = rigWithClient(t, { ringBytes: 4096 }, tcp);
  rig.isWorking = false;
  client.send(head({ body: 'x'.repeat(100_000), keepConn: false }));
  const bytes = body('x'.repeat(100_000));
  let sent = 0;
  for (let idle = 0; idle < 20 && sent < bytes.length; idle += 1) {
    const more = client.trySend(bytes.subarray(sent));
    sent += more;
    if (more > 0) idle = 0;
    rig.turn();
    rig.worker.listen();
  }
  assert.ok(rig.worker.running);
  return { rig, address, client, rest: bytes.subarray(sent) };
}

/** Reads the body until it ends. @returns why it is incomplete, 0 when it is not */
function readBody(rig: EpollRig): number {
  return rig.until('the end of the body', () => {
    rig.worker.readAll();
    const { running } = rig.worker;
    return running?.bodyEnded ? { fault: running.fault } : undefined;
  }).fault;
}

describe('the epoll driver', () => {
  for (const [name, address] of [
    ['a Unix socket', undefined],
    ['TCP', LOOPBACK],
    ['TCP over IPv6', { family: 'ipv6', address: '::1', port: 0 }],
  ] as const) {
    it(`serves requests on ${name}, one after the other and many at once`, (t) => {
      const rig = new EpollRig(t);
      const listener = rig.listen(address);
      const clients = Array.from({ length: 20 }, () => rig.connect(listener.address));
      for (const round of [1, 2, 3]) {
        for (const [index, client] of clients.entries()) client.send(request({ body: `${round} of ${index}` }));
        for (const [index, client] of clients.entries()) {
          assert.equal(text(rig.response(client)), answer(`${round} of ${index}`));
        }
      }
      rig.assertSleeps();
      rig.assertEmpty();
    });
  }

  it('sleeps while nothing happens', (t) => {
    const { rig, client } = rigWithClient(t);
    client.send(request());
    rig.response(client);
    rig.assertSleeps();
  });

  it('closes the connection of a request that does not keep it', (t) => {
    const { rig, client } = rigWithClient(t);
    client.send(request({ keepConn: false }));
    rig.response(client);
    rig.until('the close', () => {
      client.receive();
      return client.ended === 'end';
    });
    assert.equal(rig.calls.openCount, 0);
  });

  it('takes a request that comes byte by byte', (t) => {
    const { rig, client } = rigWithClient(t);
    for (const byte of request({ body: 'slowly' })) {
      client.trySend(Uint8Array.of(byte));
      rig.turn();
    }
    client.book.begun(1);
    assert.equal(text(rig.response(client)), answer('slowly'));
  });
});

describe('a call of the kernel that fails', () => {
  /** Long enough for more than one read and one send. */
  const long = 'x'.repeat(100_000);

  /** One request against the plan. @returns whether it was answered */
  function exchange(t: TestContext, plan: (call: Call, index: number) => Fault | undefined): boolean {
    const rig = new EpollRig(t, {
      front: { bodyMemoryBytes: 1 << 20 },
      serve: (worker, run) => worker.end(answer(run.body.toString())),
    });
    const { address } = rig.listen();
    rig.calls.restart(plan);
    const client = rig.connect(address);
    const bytes = request({ body: long, keepConn: false });
    let sent = client.trySend(bytes);
    client.book.begun(1);
    const response = rig.until('an answer or an end', () => {
      if (client.ended === undefined && sent < bytes.length) sent += sendOrEnd(client, bytes.subarray(sent));
      client.receive();
      const found = client.book.takeResponse(1);
      if (found !== undefined || client.ended !== undefined) return { found };
      if (rig.reports.length > 0) rig.tick();
      return undefined;
    }).found;
    if (response !== undefined) assert.equal(text(response), answer(long));
    rig.assertEmpty();
    rig.assertSleeps();
    rig.destroy();
    return response !== undefined;
  }

  function sendOrEnd(client: RawClient, bytes: Uint8Array): number {
    try {
      return client.trySend(bytes);
    } catch {
      client.ended ??= 'gone';
      return 0;
    }
  }

  for (const [call, name, fault, isHarmless] of [
    ['accept', 'EINTR', Errno.EINTR, true],
    ['accept', 'EAGAIN', Errno.EAGAIN, true],
    ['accept', 'ECONNABORTED', Errno.ECONNABORTED, true],
    ['accept', 'EMFILE', Errno.EMFILE, true],
    ['accept', 'ENFILE', Errno.ENFILE, true],
    ['accept', 'ENOBUFS', Errno.ENOBUFS, true],
    ['accept', 'ENOMEM', Errno.ENOMEM, true],
    ['read', 'EINTR', Errno.EINTR, true],
    ['read', 'EAGAIN', Errno.EAGAIN, true],
    ['read', 'ECONNRESET', ECONNRESET, false],
    ['send', 'EINTR', Errno.EINTR, true],
    ['send', 'EAGAIN', Errno.EAGAIN, true],
    ['send', 'ECONNRESET', ECONNRESET, false],
    ['send', 'EPIPE', EPIPE, false],
    ['read', 'one byte', { most: 1 }, true],
    ['send', 'one byte', { most: 1 }, true],
  ] as const) {
    it(`${isHarmless ? 'costs nothing' : 'costs its connection only'}, whichever it is: ${call} with ${name}`, (t) => {
      for (let failing = 0; ; failing += 1) {
        assert.ok(failing < 1000, 'there is no end to the calls');
        let wasReached = false;
        const answered = exchange(t, (called, index) => {
          if (called !== call || index !== failing) return undefined;
          wasReached = true;
          return fault;
        });
        if (isHarmless || !wasReached) assert.ok(answered, `not answered with the fault at call ${failing}`);
        if (!wasReached) break;
      }
    });
  }

  it('again and again costs nothing: every second, third, fourth of all', (t) => {
    for (const every of [2, 3, 4, 5]) {
      for (const fault of [Errno.EINTR, Errno.EAGAIN]) {
        assert.ok(exchange(t, (_call, index) => (index % every === every - 1 ? fault : undefined)));
      }
    }
  });

  it('with every send cut to some bytes loses none of them', (t) => {
    assert.ok(exchange(t, (call, index) => (call === 'send' ? { most: 1 + (index % 700) } : undefined)));
    assert.ok(exchange(t, (call, index) => (call === 'read' ? { most: 1 + (index % 90) } : undefined)));
    assert.ok(exchange(t, (call, index) => (index % 2 === 0 ? Errno.EAGAIN : { most: call === 'send' ? 900 : 333 })));
  });
});

describe('accepting', () => {
  it('pauses without descriptors, serves on, tells it once, and goes on when one is free', (t) => {
    const { rig, address, client } = rigWithClient(t);
    client.send(request());
    rig.response(client);
    rig.calls.plan = (call) => (call === 'accept' ? Errno.EMFILE : undefined);
    const waiting = [rig.connect(address), rig.connect(address)];
    for (const other of waiting) other.send(request({ body: 'waited' }));
    for (let round = 0; round < 5; round += 1) {
      client.send(request({ body: 'on' }));
      assert.equal(text(rig.response(client)), answer('on'));
      rig.tick();
    }
    assert.deepEqual(rig.reports, ['out of room (accept EMFILE) with 1']);
    rig.assertSleeps();
    rig.calls.plan = () => undefined;
    rig.tick();
    for (const other of waiting) assert.equal(text(rig.response(other)), answer('waited'));
    assert.deepEqual(rig.reports.slice(1), ['room again with 3']);
    rig.assertEmpty();
  });

  it('closes no idle connection for one that a worker has accepted meanwhile', (t) => {
    const { rig, address, client } = rigWithClient(t, { front: { connectionLimit: 1 } });
    client.send(request());
    rig.response(client);
    rig.calls.waitForInput = () => false;
    const late = rig.connect(address);
    late.send(request({ body: 'late' }));
    rig.turns(3);
    client.send(request({ body: 'still there' }));
    assert.equal(text(rig.response(client)), answer('still there'));
    rig.calls.waitForInput = () => true;
    // Noticed at the next tick.
    rig.tick();
    assert.equal(text(rig.response(late)), answer('late'));
  });

  it('goes on as soon as a connection ends, without a tick', (t) => {
    const { rig, address, client } = rigWithClient(t);
    client.send(request());
    rig.response(client);
    let free = 0;
    rig.calls.accepts = () => (free > 0 ? undefined : -Errno.EMFILE);
    const waiting = rig.connect(address);
    waiting.send(request({ body: 'waited' }));
    rig.turns(3);
    assert.equal(waiting.response(), undefined);
    free = 1;
    client.close();
    const before = rig.ticks;
    assert.equal(text(rig.response(waiting)), answer('waited'));
    assert.equal(rig.ticks, before);
  });

  it('leaves the last descriptors to others', (t) => {
    const rig = new EpollRig(t);
    const { address } = rig.listen();
    const { fd: next } = rig.listen();
    // 24 numbers from the next one on, and a quarter of the limit is kept.
    rig.calls.limit = Math.ceil(((next + 1 + 8) * 4) / 3);
    rig.tick();
    const clients = Array.from({ length: 30 }, () => rig.connect(address));
    for (const client of clients) client.send(request({ body: 'here' }));
    rig.turns(50);
    const served = clients.filter((client) => client.response() !== undefined);
    // The clients take numbers, too: no connection but the first finds one below the limit.
    assert.equal(served.length, 1);
    assert.match(rig.reports.join(), /^out of room \(the last descriptors are kept for files\) with 1$/);
    for (const client of clients.slice(1)) client.book.trustAnyId();
    rig.assertSleeps();
    // More is allowed now: noticed at the next tick.
    rig.calls.limit = -1;
    rig.tick();
    for (const client of clients)
      if (!served.includes(client)) assert.equal(text(rig.response(client)), answer('here'));
    assert.equal(rig.reports.length, 2);
    rig.assertEmpty();
  });

  it('on several sockets says that there is room only when all have caught up', (t) => {
    const rig = new EpollRig(t);
    const quiet = rig.listen();
    const busy = rig.listen();
    rig.calls.accepts = (listener) => (listener === busy.fd ? -Errno.ENFILE : undefined);
    const waiting = rig.connect(busy.address);
    waiting.send(request());
    for (let round = 0; round < 4; round += 1) rig.tick();
    assert.deepEqual(rig.reports, ['out of room (accept ENFILE) with 0']);
    rig.calls.accepts = () => undefined;
    rig.tick();
    rig.response(waiting);
    assert.deepEqual(rig.reports.slice(1), ['room again with 1']);
    const other = rig.connect(quiet.address);
    other.send(request());
    rig.response(other);
    rig.assertEmpty();
  });

  it('does not run in circles on a listener that is broken', (t) => {
    const { rig, address } = rigWithClient(t);
    rig.calls.accepts = () => -EINVAL;
    rig.connect(address);
    rig.turns(3);
    rig.assertSleeps();
    assert.equal(rig.reports.length, 1);
  });

  it('closes what it cannot watch, and goes on', (t) => {
    const rig = new EpollRig(t);
    const { address } = rig.listen();
    let given = false;
    rig.calls.accepts = () => {
      if (given) return undefined;
      given = true;
      // No socket: epoll does not take it.
      return openSync(process.execPath, 'r');
    };
    const client = rig.connect(address);
    client.send(request());
    assert.throws(() => rig.turn(), /epoll_ctl/);
    rig.bugs.length = 0;
    rig.response(client);
    assert.equal(rig.front.counts().connections, 1);
    rig.assertEmpty();
  });

  it('ends with the listeners: whoever comes later is refused, who is there is served', (t) => {
    const { rig, address, client } = rigWithClient(t);
    client.send(request());
    rig.response(client);
    rig.driver.stopListening();
    assert.throws(() => rig.connect(address), { code: 'ECONNREFUSED' });
    client.send(request({ body: 'still' }));
    assert.equal(text(rig.response(client)), answer('still'));
    rig.assertSleeps();
    rig.assertEmpty();
  });

  it('ends for good on a socket that stays open elsewhere', (t) => {
    const rig = new EpollRig(t);
    const { fd, address } = rig.listen();
    const parents = duplicate(fd);
    t.after(() => closeDescriptor(parents));
    rig.driver.stopListening();
    rig.connect(address);
    rig.assertSleeps();
  });

  it('lets in only the addresses that are allowed, and closes others at once', (t) => {
    for (const [allowed, address, isLetIn] of [
      [['127.0.0.1'], LOOPBACK, true],
      [['192.0.2.1'], LOOPBACK, false],
      [['::1'], { family: 'ipv6', address: '::1', port: 0 }, true],
      [['127.0.0.1'], { family: 'ipv6', address: '::1', port: 0 }, false],
      [['192.0.2.1'], undefined, true],
    ] as const) {
      const rig = new EpollRig(t, { webServers: allowed });
      const client = rig.connect(rig.listen(address).address);
      client.send(request());
      if (isLetIn) rig.response(client);
      else {
        rig.until('the close', () => client.receive() === 0 && client.ended !== undefined);
        assert.equal(rig.reports.length, 1);
        assert.equal(rig.front.counts().connections, 0);
      }
      rig.assertEmpty();
      rig.destroy();
    }
  });

  it('knows an IPv4 address on a socket for both', (t) => {
    const rig = new EpollRig(t, { webServers: ['127.0.0.1'] });
    const { address } = rig.listen({ family: 'ipv6', address: '::', port: 0 });
    assert.ok(address.family === 'ipv6');
    const client = rig.connect({ family: 'ipv4', address: '127.0.0.1', port: address.port });
    client.send(request());
    rig.response(client);
  });
});

describe('a peer on a connection of the epoll driver', () => {
  for (const tcp of [false, true]) {
    const on = tcp ? 'TCP' : 'a Unix socket';

    it(`that closes its writing side gets its answer (${on})`, (t) => {
      const { rig, client } = rigWithClient(t, {}, tcp);
      rig.isWorking = false;
      client.send(request({ body: 'asked' }));
      client.endSending();
      rig.until('the start', () => rig.worker.listen() || rig.worker.running !== undefined);
      rig.assertSleeps();
      rig.isWorking = true;
      assert.equal(text(rig.response(client)), answer('asked'));
      rig.until('the close', () => client.receive() === 0 && client.ended === 'end');
      rig.assertEmpty();
    });

    it(`that closes its writing side while it is not read is read to the end (${on})`, (t) => {
      const { rig, client, rest } = pausedConnection(t, tcp);
      let left = rest;
      rig.until('all sent', () => {
        left = left.subarray(client.trySend(left));
        rig.worker.readAll();
        return left.length === 0;
      });
      client.endSending();
      rig.until('a pause', () => rig.worker.running !== undefined);
      rig.assertSleeps();
      assert.equal(readBody(rig), 0);
      rig.isWorking = true;
      assert.equal(text(rig.response(client)).length, answer('').length + 100_000);
      rig.assertEmpty();
    });

    it(`that goes away while it is not read costs its request only (${on})`, (t) => {
      const { rig, address, client } = pausedConnection(t, tcp);
      rig.assertSleeps();
      if (tcp) client.reset();
      else client.close();
      rig.until('the end of the connection', () => rig.front.counts().connections === 0);
      rig.assertSleeps();
      assert.notEqual(readBody(rig), 0);
      rig.isWorking = true;
      const other = rig.connect(address);
      other.send(request({ body: 'next' }));
      assert.equal(text(rig.response(other)), answer('next'));
      rig.assertEmpty();
    });

    it(`that goes away while its script runs costs its request only (${on})`, (t) => {
      const { rig, address, client } = rigWithClient(t, {}, tcp);
      rig.isWorking = false;
      client.send(request());
      rig.until('the start', () => rig.worker.listen() || rig.worker.running !== undefined);
      if (tcp) client.reset();
      else client.close();
      rig.until('the end of the connection', () => rig.front.counts().connections === 0);
      rig.assertSleeps();
      rig.isWorking = true;
      const other = rig.connect(address);
      other.send(request({ body: 'next' }));
      assert.equal(text(rig.response(other)), answer('next'));
      rig.assertEmpty();
    });

    it(`that goes away with most of its answer unread costs its request only (${on})`, (t) => {
      const { rig, address, client } = rigWithClient(
        t,
        { serve: (worker, run) => worker.end(answer('x'.repeat(run.body.length === 0 ? 8_000_000 : 10))) },
        tcp,
      );
      client.send(request());
      rig.until('a worker that waits', () => rig.worker.isBlocked);
      rig.turns(10);
      rig.assertSleeps();
      client.receive(1000);
      if (tcp) client.reset();
      else client.close();
      const other = rig.connect(address);
      other.send(request({ body: 'next' }));
      assert.equal(text(rig.response(other)), answer('x'.repeat(10)));
      rig.assertEmpty();
    });

    it(`that still sends when it is refused gets the answer; what comes is dropped until its end (${on})`, (t) => {
      const { rig, client } = rigWithClient(t, { front: { maxPostBytes: 10 } }, tcp);
      client.send(head({ body: 'x'.repeat(1000), keepConn: false }), body('x'.repeat(500)));
      assert.match(text(rig.response(client)), /^Status: 413 /);
      rig.until('the end of the answer', () => client.receive() === 0 && client.ended === 'end');
      for (let round = 0; round < 20; round += 1) {
        client.trySend(Buffer.alloc(50_000));
        rig.turn();
      }
      assert.equal(rig.front.counts().connections, 1);
      rig.until('all of it dropped', () => {
        rig.turn();
        return client.trySend(Buffer.alloc(1000)) === 1000;
      });
      client.endSending();
      rig.until('the close', () => rig.calls.openCount === 0);
      rig.assertSleeps();
    });

    it(`that still sends, and never ends, is closed in the end (${on})`, (t) => {
      const { rig, client } = rigWithClient(t, { front: { maxPostBytes: 10 } }, tcp);
      client.send(head({ body: 'x'.repeat(1000), keepConn: false }));
      rig.response(client);
      rig.until('the end of the answer', () => client.receive() === 0 && client.ended === 'end');
      rig.assertSleeps();
      rig.pass(LINGER_MS - 1000);
      assert.equal(rig.calls.openCount, 1);
      rig.pass(1000);
      assert.equal(rig.calls.openCount, 0);
      assert.equal(rig.front.counts().connections, 0);
      rig.assertSleeps();
    });
  }

  it('that resets while its connection lingers is closed at once', (t) => {
    const { rig, client } = rigWithClient(t, { front: { maxPostBytes: 10 } }, true);
    client.send(head({ body: 'x'.repeat(1000), keepConn: false }));
    rig.response(client);
    client.reset();
    rig.until('the close', () => rig.calls.openCount === 0);
    rig.assertEmpty();
  });

  it('that comes and goes before anybody looks costs nothing', (t) => {
    const { rig, address } = rigWithClient(t, {}, true);
    for (let round = 0; round < 50; round += 1) {
      const client = rig.connect(address);
      client.send(request().subarray(0, round));
      if (round % 2 === 0) client.reset();
      else client.close();
    }
    rig.turns(5);
    rig.assertEmpty();
    rig.assertSleeps();
  });

  it('gets its whole answer, however little it reads at a time', (t) => {
    const { rig, client } = rigWithClient(t, { serve: (worker) => worker.end(answer('y'.repeat(3_000_000))) });
    client.send(request());
    const response = rig.until('the answer', () => {
      client.receive(30_000);
      return client.book.takeResponse(1);
    });
    assert.equal(text(response), answer('y'.repeat(3_000_000)));
    rig.assertEmpty();
  });
});

describe('the number of a descriptor', () => {
  it('is not used again in the turn in which its connection was closed', (t) => {
    const { rig, address, client } = rigWithClient(t);
    client.send(request());
    rig.response(client);
    client.send(request({ body: 'in the same turn' }));
    const next = rig.connect(address);
    next.send(request({ body: 'another' }));
    // The bell is heard first, since it was rung before: connection 1 is closed, then its bytes and a new one are told.
    rig.onRung = () => rig.ports.get(1)?.close(false);
    rig.turn();
    rig.onRung = () => {};
    const [first, second, third] = rig.calls.descriptors;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    assert.notEqual(first, second);
    assert.equal(third, -first);
    assert.equal(text(rig.response(next)), answer('another'));
    rig.assertEmpty();
  });
});

describe('a slow reader whose answer is stored', () => {
  /** The worker waits for it, and somebody else for the worker; then the rest of the answer is stored. */
  async function storedAnswer(t: TestContext, bytes: number) {
    const rig = new EpollRig(t, {
      serve: (worker, run) => worker.end(answer(run.body.length === 0 ? 'z'.repeat(bytes) : 'quick')),
    });
    const { address } = rig.listen();
    const slow = rig.connect(address);
    slow.send(request({ keepConn: false }));
    rig.until('a worker that waits', () => rig.worker.isBlocked);
    const other = rig.connect(address);
    other.send(request({ body: 'x' }));
    rig.turns(5);
    assert.equal(other.response(), undefined);
    return { rig, slow, other };
  }

  it('does not hold the worker, and gets all of it', async (t) => {
    const { rig, slow, other } = await storedAnswer(t, 5_000_000);
    for (let ticks = 0; ticks < 4; ticks += 1) rig.tick();
    const quick = await rig.eventually('the other answer', () => other.response());
    assert.equal(text(quick), answer('quick'));
    const response = await rig.eventually('the whole answer', () => {
      slow.receive(100_000);
      return slow.book.takeResponse(1);
    });
    assert.equal(text(response), answer('z'.repeat(5_000_000)));
    await rig.eventually('the close', () => rig.front.counts().connections === 1);
    rig.assertSleeps();
    rig.assertEmpty();
  });

  it('does not hold the worker either when it reads a little and then no more', async (t) => {
    const { rig, slow, other } = await storedAnswer(t, 5_000_000);
    // The kernel takes no more than single bytes of the answer from now on.
    const [fd] = rig.calls.descriptors;
    rig.calls.plan = (call, _index, on) => (call === 'send' && on === fd ? { most: 1 } : undefined);
    for (let ticks = 0; ticks < 4; ticks += 1) rig.tick();
    // Everything that the worker has said so far is stored; then some bytes are taken; then the worker goes on.
    rig.isWorking = false;
    await rig.eventually('the file', () => !rig.driver.needsEventLoop);
    slow.receive();
    rig.turns(3);
    rig.isWorking = true;
    const before = slow.receivedBytes;
    const quick = await rig.eventually('the other answer', () => other.response());
    assert.equal(text(quick), answer('quick'));
    assert.equal(slow.receivedBytes, before);
  });

  it('that goes away leaves nothing', async (t) => {
    const { rig, slow, other } = await storedAnswer(t, 5_000_000);
    for (let ticks = 0; ticks < 4; ticks += 1) rig.tick();
    slow.close();
    await rig.eventually('the other answer', () => other.response());
    await rig.eventually('the end of its connection', () => rig.front.counts().connections === 1);
    await rig.eventually('the end of its file', () => !rig.driver.needsEventLoop);
    rig.assertSleeps();
    rig.assertEmpty();
  });
});

describe('the end of the epoll driver', () => {
  it('is told when the last connection is closed', (t) => {
    const { rig, client } = rigWithClient(t);
    client.send(request());
    rig.response(client);
    rig.driver.tellAllClosed();
    rig.turns(3);
    assert.deepEqual(rig.reports, []);
    client.close();
    rig.until('the news', () => rig.reports.length > 0);
    assert.deepEqual(rig.reports, ['all closed']);
  });

  it('closes all at once', (t) => {
    const { rig, address, client } = rigWithClient(t);
    const second = rig.connect(address);
    client.send(request());
    rig.response(client);
    second.send(head({ body: 'never sent' }));
    rig.turns(3);
    rig.destroy();
    for (const peer of [client, second]) assert.equal(rig.calls.openCount, 0, String(peer.ended));
  });
});
