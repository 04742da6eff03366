/**
 * The epoll driver with a front, scripted workers and clients on one thread, taking turns as a test says: real sockets,
 * and between driver and kernel a layer that fails on purpose. Nothing here waits for time to pass.
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createLoans, Lender } from '../../../src/channel/lending.js';
import { Front, type FrontOptions } from '../../../src/front/core/front.js';
import { EpollDriver } from '../../../src/front/io/epoll/driver.js';
import type { ConnectionPort } from '../../../src/front/model/actions.js';
import { WorkerLink } from '../../../src/front/model/worker-link.js';
import { closeEventfd, createEventfd, ringEventfd } from '../../../src/linux/eventfd.js';
import { decodeSocketAddress, type SocketAddress } from '../../../src/linux/socket-address.js';
import { boundAddress, kernelSockets, listenAt, type SocketCalls } from '../../../src/linux/sockets.js';
import { type Cleanup, tempDir } from '../../support/cleanup.js';
import type { FcgiResponse } from '../../support/fcgi-responses.js';
import { RawClient } from '../../support/raw-client.js';
import { FakeWorker, type Run } from './fake-worker.js';
import { answer } from './requests.js';
import { ROOMY } from './roomy.js';

/** What goes wrong with a call: an error number, or no more than so many bytes. */
export type Fault = number | { readonly most: number };
export type Call = 'accept' | 'read' | 'send';

export class FaultyCalls implements SocketCalls {
  /** Decides what happens to the call of this kind with this number, from 0. */
  plan: (call: Call, index: number, fd: number) => Fault | undefined = () => undefined;
  /** Stands for the process' limit. */
  limit: number | undefined;
  /** What was done with descriptors, in order: accepted (positive), closed (negative). */
  readonly descriptors: number[] = [];
  /** Errors of listening sockets, by descriptor, for as long as they last. */
  accepts: (listener: number) => number | undefined = () => undefined;
  readonly #counts = { accept: 0, read: 0, send: 0 };
  #injected: number | undefined;

  /** Accepted and not closed. */
  get openCount(): number {
    return this.descriptors.reduce((open, fd) => open + (fd > 0 ? 1 : -1), 0);
  }

  restart(plan: (call: Call, index: number, fd: number) => Fault | undefined): void {
    this.plan = plan;
    Object.assign(this.#counts, { accept: 0, read: 0, send: 0 });
  }

  accept(listener: number, wantsPeer: boolean): number {
    const fault = this.#next('accept', listener);
    if (typeof fault === 'number') return this.#fail(fault);
    const given = this.accepts(listener);
    if (given !== undefined && given < 0) return this.#fail(-given);
    const fd = given ?? kernelSockets.accept(listener, wantsPeer);
    if (fd >= 0) this.descriptors.push(fd);
    return fd;
  }

  peer = kernelSockets.peer;

  read(fd: number, into: Uint8Array): number {
    const fault = this.#next('read', fd);
    if (typeof fault === 'number') return this.#fail(fault);
    return kernelSockets.read(fd, fault === undefined ? into : into.subarray(0, fault.most));
  }

  send(fd: number, bytes: Uint8Array): number {
    const fault = this.#next('send', fd);
    if (typeof fault === 'number') return this.#fail(fault);
    return kernelSockets.send(fd, fault === undefined ? bytes : bytes.subarray(0, fault.most));
  }

  waitForInput = kernelSockets.waitForInput;
  endSending = kernelSockets.endSending;
  setNoDelay = kernelSockets.setNoDelay;
  nextDescriptor = kernelSockets.nextDescriptor;

  close(fd: number): void {
    if (this.descriptors.includes(fd)) this.descriptors.push(-fd);
    kernelSockets.close(fd);
  }

  descriptorLimit(): number {
    return this.limit ?? kernelSockets.descriptorLimit();
  }

  errorNumber(): number {
    return this.#injected ?? kernelSockets.errorNumber();
  }

  #next(call: Call, fd: number): Fault | undefined {
    this.#injected = undefined;
    const index = this.#counts[call];
    this.#counts[call] += 1;
    return this.plan(call, index, fd);
  }

  #fail(number: number): -1 {
    this.#injected = number;
    return -1;
  }
}

export interface EpollRigOptions {
  readonly front?: Partial<Omit<FrontOptions, 'pool'>>;
  readonly pool?: Partial<FrontOptions['pool']>;
  readonly ringBytes?: number;
  readonly webServers?: readonly string[];
  /** What the one worker does with a request whose body is complete. */
  readonly serve?: (worker: FakeWorker, run: Run) => void;
}

/** Longest wait for what is bound to come. Generous: it only ends a test that would hang. */
const GUARD_MS = 90_000;

const TICK_MS = 250;

export class EpollRig {
  readonly calls = new FaultyCalls();
  readonly bell = { asleep: new SharedArrayBuffer(4), fd: createEventfd() };
  readonly driver: EpollDriver;
  readonly front: Front;
  readonly worker: FakeWorker;
  readonly reports: string[] = [];
  readonly bugs: unknown[] = [];
  /** What the driver has handed to the front, by the numbers of connections. */
  readonly ports = new Map<number, ConnectionPort>();
  ticks = 0;
  /** Called when the driver hears the bell. */
  onRung: () => void = () => {};
  /** Whether the worker takes requests and reads bodies by itself. */
  isWorking = true;
  readonly #dir: string;
  readonly #serve: (worker: FakeWorker, run: Run) => void;
  readonly #clients: RawClient[] = [];
  #offsetMs = 0;
  #stoppedMs: number | undefined = performance.now();
  #lastTickMs: number;
  #isDestroyed = false;
  #lastSocket = 0;

  constructor(t: Cleanup, options: EpollRigOptions = {}) {
    this.#dir = tempDir(t);
    this.#serve = options.serve ?? ((worker, run) => worker.end(answer(run.body.toString())));
    const settings = {
      tickMs: TICK_MS,
      sendBufferBytes: 1_000,
      spoolBytes: 1 << 30,
      allowed: options.webServers === undefined ? [] : [options.webServers],
      front: {
        pool: { states: 8, clones: 4, workers: 1, queue: 64, halfLifeMs: 60_000, maxCount: 0, ...options.pool },
        maxPostBytes: 1 << 20,
        bodyMemoryBytes: 1_000,
        sendBufferBytes: 1_000,
        queueTimeoutMs: 1e9,
        ...ROOMY,
        overload: 'page',
        watchdogMs: 0,
        watchdogMaxMs: 0,
        slowTimeMs: 0,
        onAbort: 'finish',
        showErrors: false,
        runName: 'run',
        ...options.front,
      } satisfies FrontOptions,
    };
    const driver = new EpollDriver(
      settings,
      this.bell,
      {
        stranger: (address) => this.reports.push(`stranger ${address}`),
        outOfRoom: (reason, connections) => this.reports.push(`out of room (${reason}) with ${connections}`),
        roomAgain: (connections) => this.reports.push(`room again with ${connections}`),
        bug: (error) => this.bugs.push(error),
        allClosed: () => this.reports.push('all closed'),
        rung: () => this.onRung(),
      },
      this.calls,
      () => this.nowMs,
    );
    this.driver = driver;
    this.front = new Front(settings.front, {
      lookUp: (path, request) => this.front.scriptFound(request, path, this.nowMs),
      log: () => {},
      slow: () => {},
      interrupt: () => {},
      abandon: () => {},
      drained: () => this.reports.push('drained'),
    });
    const opened = this.front.connectionOpened.bind(this.front);
    this.front.connectionOpened = (id, port) => {
      this.ports.set(id, port);
      opened(id, port);
    };
    const tick = this.front.tick.bind(this.front);
    this.front.tick = (nowMs) => {
      this.ticks += 1;
      this.#lastTickMs = nowMs;
      tick(nowMs);
    };
    driver.attach(this.front);
    this.#lastTickMs = this.nowMs;
    this.worker = new FakeWorker(options.ringBytes ?? 65_536, new Map(), () => {});
    const { toWorker, toFront, frontSlots, interrupter } = this.worker;
    this.front.workerReady(
      new WorkerLink(1, toWorker, toFront, frontSlots, interrupter, new Lender(createLoans())),
      0,
      this.nowMs,
    );
    t.after(() => this.destroy());
  }

  /** Time passes by `pass` and `tick` alone, except in `assertSleeps`: a busy machine changes nothing. */
  get nowMs(): number {
    return (this.#stoppedMs ?? performance.now()) + this.#offsetMs;
  }

  /** Listens at an address, by default on a Unix socket. @returns where clients find it */
  listen(address?: SocketAddress): { readonly fd: number; readonly address: SocketAddress } {
    this.#lastSocket += 1;
    const wanted = address ?? { family: 'unix', path: join(this.#dir, `${this.#lastSocket}.sock`) };
    const fd = listenAt(wanted, 128);
    this.driver.accept(fd, wanted.family !== 'unix');
    const bound = decodeSocketAddress(boundAddress(fd));
    assert.ok(bound);
    return { fd, address: bound };
  }

  connect(address: SocketAddress): RawClient {
    const client = new RawClient(address);
    this.#clients.push(client);
    return client;
  }

  /** Deals with what is there, without waiting; then the worker does what it can, if it is to. */
  turn(): void {
    ringEventfd(this.bell.fd);
    this.driver.turn();
    this.check();
    if (!this.isWorking) return;
    this.worker.flush();
    this.worker.listen();
    this.worker.readAll();
    const run = this.worker.running;
    if (run?.bodyEnded && !this.worker.isBlocked) this.#serve(this.worker, run);
  }

  turns(count: number): void {
    for (let left = count; left > 0; left -= 1) this.turn();
  }

  /** Takes turns until there is something to see. */
  until<Found>(what: string, look: () => Found | undefined | false): Found {
    const deadline = performance.now() + GUARD_MS;
    for (;;) {
      const found = look();
      if (found !== undefined && found !== false) return found;
      assert.ok(performance.now() < deadline, `no sign of ${what}`);
      this.turn();
    }
  }

  /** The same where files of spools are used, of which the event loop tells. */
  async eventually<Found>(what: string, look: () => Found | undefined | false): Promise<Found> {
    const deadline = performance.now() + GUARD_MS;
    for (;;) {
      const found = look();
      if (found !== undefined && found !== false) return found;
      assert.ok(performance.now() < deadline, `no sign of ${what}`);
      this.turn();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  response(client: RawClient, id = 1): FcgiResponse {
    return this.until(`the answer of request ${id}`, () => client.response(id));
  }

  /** Time passes. */
  pass(ms: number): void {
    this.#offsetMs += ms;
    this.turn();
  }

  /** Time passes until the next tick. */
  tick(): void {
    const before = this.ticks;
    this.pass(TICK_MS);
    assert.equal(this.ticks, before + 1);
  }

  /**
   * Asserts that it comes to rest: turn after turn sleeps until the next tick is due. If any descriptor were told of for
   * nothing, every turn would end before it. Each tick is a quarter of a second: with many of them a worker that does not
   * go on meanwhile would be taken for lost.
   */
  assertSleeps(): void {
    this.turns(2);
    const stoppedMs = this.#stoppedMs;
    this.#stoppedMs = undefined;
    let woken = 0;
    for (let slept = 0; slept < 3; ) {
      this.#offsetMs = this.#lastTickMs + TICK_MS - 10 - performance.now();
      const before = this.ticks;
      this.driver.turn();
      if (this.ticks > before) slept += 1;
      else woken += 1;
      assert.ok(woken < 1000, 'the driver is woken again and again, and has nothing to do');
    }
    if (stoppedMs === undefined) return;
    this.#offsetMs += performance.now() - stoppedMs;
    this.#stoppedMs = stoppedMs;
  }

  check(): void {
    assert.deepEqual(this.bugs, []);
    assert.deepEqual(this.front.audit(), []);
    assert.deepEqual(this.worker.violations, []);
  }

  /** After all clients are gone: nothing is left of their connections. */
  assertEmpty(): void {
    for (const client of this.#clients) client.close();
    this.until('the end of all', () => {
      const { connections, requests } = this.front.counts();
      return connections === 0 && requests === 0;
    });
    assert.equal(this.calls.openCount, 0, 'a descriptor was not closed, or closed twice');
  }

  destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    for (const client of this.#clients) client.close();
    this.driver.destroy();
    closeEventfd(this.bell.fd);
    assert.equal(this.calls.openCount, 0, 'a descriptor was not closed, or closed twice');
  }
}
