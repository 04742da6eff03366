/**
 * A front in a world that does anything in any order: web servers that send good and bad streams in any pieces and go
 * away when they like, workers that do their steps when they like, and time that passes in between. What must hold
 * always is checked after each step; `comeToAnEnd` then lets everything finish and checks what must hold at the end.
 */
import assert from 'node:assert/strict';
import { LuafcgidError } from '../../../src/base/errors.js';
import { FromWorker, requestName } from '../../../src/channel/messages.js';
import { beginRequest, pairs, ROLE, record, splitEvery, stream, TYPE } from '../../support/fcgi-wire.js';
import { BegunRequests, checkOwnAnswers, ScriptsSaid } from './expected-answers.js';
import type { FakeWorker, Run } from './fake-worker.js';
import { answer } from './requests.js';
import { type Peer, Rig, type RigOptions } from './rig.js';

export interface RequestSpec {
  /** Uses the id of the request before it, which may still be open: a protocol error then. */
  readonly reusesId: boolean;
  readonly keepConn: boolean;
  readonly role: number;
  readonly script: string;
  readonly method: string;
  readonly bodyBytes: number;
  readonly length: 'right' | 'unknown' | 'longer' | 'shorter';
  /** Bytes of each PARAMS and STDIN record. */
  readonly recordBytes: number;
  readonly end: 'sent' | 'missing' | 'abort';
}

export interface ConnectionSpec {
  readonly requests: readonly RequestSpec[];
  /** Whose record comes next, by turns. */
  readonly order: readonly number[];
  /** Comes after all requests. */
  readonly trailer: 'none' | 'values' | 'unknown type' | 'stale' | 'garbage';
}

export type Step =
  | 'open'
  | 'bytes'
  | 'endReading'
  | 'close'
  | 'slow'
  | 'sent'
  | 'found'
  | 'refused'
  | 'listen'
  | 'read'
  | 'output'
  | 'finish'
  | 'end'
  | 'endGone'
  | 'log'
  | 'depends'
  | 'flush'
  | 'die'
  | 'replace'
  | 'ring'
  | 'tick'
  | 'sweep'
  | 'collect'
  | 'move'
  | 'forget'
  | 'noSpool'
  | 'wake'
  | 'limit'
  | 'reload'
  | 'drain'
  | 'stop'
  | 'request'
  | 'go'
  | 'serve'
  | 'served'
  | 'deliver'
  | 'settle'
  | 'look'
  | 'hang'
  | 'suspend'
  | 'resume';

/** A step of a test: what it concerns is chosen by the numbers. */
export interface PlayedStep {
  readonly step: Step;
  readonly a: number;
  readonly b: number;
}

/** Steps of others in the middle of a worker's step are not stopped in their middle more than so often. */
const MOST_NESTED = 3;

interface Expected {
  readonly tag: string;
  readonly fcgiId: number;
  readonly body: Buffer;
  readonly spec: RequestSpec;
  readonly role: number;
  /** Another request of its connection has its id: what comes under that id may be either's. */
  readonly sharesId: boolean;
}

interface Client {
  readonly peer: Peer;
  readonly requests: readonly Expected[];
  readonly trailer: ConnectionSpec['trailer'];
  rest: Buffer;
  /** How much is left when one of its requests is sent, of those that come one after the other. */
  readonly leftAfter: readonly number[];
  readonly begun: BegunRequests;
  /** It has behaved so far: all its complete requests are owed an answer. */
  isFaithful: boolean;
  hasEnded: boolean;
}

const FILES = ['/a', '/b', '/c'];
/** A path may come to lead to another file, and back: a link that is switched. */
const otherFile = (path: string): string => `${path}-moved`;

export class World {
  readonly rig: Rig;
  readonly #clients: Client[] = [];
  /** Steps that are not done yet, the next one last. */
  readonly #left: PlayedStep[] = [];
  #specs: readonly ConnectionSpec[] = [];
  #opened = 0;
  #nested = 0;
  /** How often something was done in the middle of a worker's step. */
  stops = 0;
  #between = 0;
  #skip = 0;
  readonly #expected = new Map<string, Expected>();
  #versions = 0;
  #isDraining = false;
  #drainsSinceMs = Number.POSITIVE_INFINITY;
  #isStopping = false;
  readonly #retired = new Set<FakeWorker>();
  #abandoned = 0;
  readonly #said = new ScriptsSaid();
  /** The tag of the request that each worker has spoken for last. */
  readonly #lastRun = new Map<FakeWorker, string>();

  constructor(options: Omit<RigOptions, 'findsAtOnce' | 'lends'> & { readonly lends?: boolean }) {
    this.rig = new Rig({ ...options, findsAtOnce: false });
    for (let n = 0; n < options.pool.workers; n++) this.#addWorker(n);
  }

  /** Does all these steps; some of them in the middle of a worker's step. */
  play(steps: readonly PlayedStep[], connections: readonly ConnectionSpec[]): void {
    this.#left.push(...[...steps].reverse());
    this.#specs = connections;
    while (this.#playNext());
  }

  #playNext(): boolean {
    const next = this.#left.pop();
    if (next === undefined) return false;
    const { step, a, b } = next;
    const spec = this.#specs[this.#opened % this.#specs.length] as ConnectionSpec;
    if (step === 'open') this.#opened += 1;
    this.#step(step, a, b, spec);
    return true;
  }

  /** A worker is about to take a step: others may do something before. */
  #pause(): void {
    if (this.#skip > 0) {
      this.#skip -= 1;
      return;
    }
    if (this.#nested >= MOST_NESTED || this.#between === 0) return;
    this.#between -= 1;
    this.stops += 1;
    this.#nested += 1;
    const [skip, between] = [this.#skip, this.#between];
    this.#playNext();
    [this.#skip, this.#between] = [skip, between];
    this.#nested -= 1;
  }

  /** How many of the next steps are done in the middle of this one, and after how many steps of the worker. */
  #stopIn(amount: number): void {
    this.#between = amount % 4;
    this.#skip = (amount >> 2) % 8;
  }

  #step(step: Step, a: number, b: number, spec: ConnectionSpec): void {
    const { rig } = this;
    this.#stopIn(this.#nested < MOST_NESTED ? b : 0);
    const client = pick(this.#clients, a);
    const worker = pick(this.#workersFor(step), a) ?? pick(rig.workers, a);
    switch (step) {
      case 'open':
        // Also while it drains: a driver may have accepted it just before.
        if (this.#clients.length < 8 && !this.#isStopping) this.#open(spec);
        break;
      case 'bytes':
        if (client !== undefined) this.#send(client, 1 + (b % 200));
        break;
      case 'request':
        this.#sendRequest(a);
        break;
      case 'endReading':
        if (client === undefined || client.hasEnded || !isOpen(client) || b % 4 > 0) break;
        this.#end(client);
        break;
      case 'close':
        if (client === undefined || client.peer.closed === 'gone' || b % 4 > 0) break;
        // Of a lent one the driver hears nothing: its worker, or whoever reads it next, finds its end.
        if (client.peer.lentTo !== undefined || !client.peer.isKnown) this.#end(client);
        else {
          client.isFaithful = false;
          rig.close(client.peer);
        }
        break;
      case 'slow':
        if (client !== undefined) client.peer.isSlow = true;
        break;
      case 'sent':
        if (client !== undefined && client.peer.closed !== 'gone' && client.peer.isKnown) {
          rig.sendUnsent(client.peer, b % 2 === 0 ? 0 : client.peer.unsentBytes >> 1);
        }
        break;
      case 'found':
        if (rig.lookUps.length > 0) this.#find(a % rig.lookUps.length, b % 4 === 0);
        break;
      case 'refused':
        if (rig.lookUps.length > 0 && b % 4 === 0) {
          rig.refused(new LuafcgidError('LUAFCGID_SCRIPT_NOT_FOUND', { path: '/x' }), a % rig.lookUps.length);
        }
        break;
      case 'ring':
        rig.ring();
        break;
      case 'tick':
        rig.pass(b);
        break;
      case 'sweep':
        this.#versions += 1;
        rig.event(() => rig.front.flushStale(new Map([[FILES[a % 3] as string, String(this.#versions)]])));
        break;
      case 'collect':
        rig.event(() => rig.front.collectIdle());
        break;
      case 'replace':
        this.#replaceDead();
        break;
      case 'move':
        this.#remember(FILES[a % 3] as string, b % 2 === 0);
        break;
      case 'forget':
        rig.event(() => rig.front.lookUps.forget(FILES[a % 3] as string));
        break;
      case 'noSpool':
        rig.canSpool = b % 2 === 0;
        break;
      case 'wake':
        rig.event(() => rig.front.wakeWorkers());
        break;
      case 'reload':
        if (!this.#isDraining && b % 4 === 0) this.#reload(a);
        break;
      case 'stop':
        // After a drain, whether all has ended by then or not.
        if (!this.#isDraining || this.#isStopping) break;
        this.#isStopping = true;
        rig.event(() => rig.front.stopWorkers());
        break;
      case 'settle':
        // All but scripts and clients come to rest.
        while (rig.lookUps.length > 0) this.#find(0, false);
        rig.settle();
        break;
      case 'deliver':
        if (client !== undefined && isOpen(client) && !client.peer.isPaused) rig.deliver(client.peer);
        break;
      case 'look':
        rig.nowMs += b % 3;
        if (rig.front.isReviewDue) rig.hear();
        break;
      case 'drain':
        if (b % 8 > 0) break;
        if (!this.#isDraining) this.#drainsSinceMs = rig.nowMs;
        this.#isDraining = true;
        rig.drain();
        rig.hear();
        break;
      default:
        if (worker !== undefined && !worker.isGone) this.#work(worker, step, b);
    }
    this.#endStopped();
    this.#noteAbandoned();
    this.#noteClosed();
    rig.check();
    for (const each of rig.workers) this.#checkBody(each);
    for (const each of this.#clients) this.#checkModel(each, undefined);
    assert.ok([...rig.front.dependencies().keys()].every((path) => FILES.some((file) => path.startsWith(file))));
  }

  /** Everybody finishes what was begun; then everything is closed, and nothing may be left. */
  comeToAnEnd(): void {
    const { rig } = this;
    if (this.#isDraining && !this.#isStopping) rig.pass(1000);
    for (let rounds = 0; this.#finishSome(); rounds++) assert.ok(rounds < 2_000, 'it never comes to an end');
    // Workers that hang are lost: while the server stops, it ends their threads itself.
    for (const worker of this.#isStopping ? rig.workers : []) {
      if (worker.isStuck && !worker.isGone) rig.killWorker(worker, 'its thread does not end');
    }
    // In steps in which looks come in time: late ones count little towards a worker's end.
    for (let steps = 0; steps < 24; steps += 1) {
      rig.pass(250);
      while (this.#finishSome());
    }
    // What now waits, waits for ever: that is for requests whose web server has left them incomplete.
    // Once for each request of a connection, since one that waits may keep the next one's bytes from being read.
    for (let rounds = 0; rounds < 5; rounds += 1) {
      rig.pass(1_000_000);
      while (this.#finishSome());
    }
    this.#noteAbandoned();
    for (const client of this.#clients) this.#checkAnswers(client);
    assert.equal(rig.front.counts().waiting, 0);
    if (this.#isDraining) this.#checkDrained();
    for (const client of this.#clients) {
      if (client.peer.lentTo !== undefined || !client.peer.isKnown) this.#end(client);
    }
    while (this.#finishSome());
    for (const { peer } of this.#clients) if (peer.closed !== 'gone') rig.close(peer);
    while (this.#finishSome());
    rig.checkEmpty();
    const { freeWorkers, workers, states, idle } = rig.front.counts();
    assert.equal(freeWorkers, workers);
    assert.equal(states, idle);
    assert.deepEqual(rig.registry.size, states);
    this.#checkLines();
    // Requests are numbered as they come: the access log has been told of each.
    const known = [...rig.overs.keys()].filter((name) => !rig.isDirectName(name)).length;
    for (let number = 1; number <= known; number += 1) {
      assert.ok(rig.overs.has(requestName('run', number)), `nobody was told that request ${number} is over`);
    }
  }

  /** Each request that a worker has begun with by itself has one line of the access log: its worker's, or the front's. */
  #checkLines(): void {
    const { rig } = this;
    if (!rig.isTraced) return;
    rig.takeLines();
    for (const { direct, isGone } of rig.workers) {
      // One that was killed between its answer and its line has none.
      if (direct === undefined || isGone) continue;
      for (const name of direct.begun) {
        assert.ok(rig.directOvers.has(name) || rig.overs.has(name), `request ${name} has no line`);
      }
    }
  }

  /** A server that stops has closed every connection on which nothing more is owed. */
  #checkDrained(): void {
    const { rig } = this;
    const isComplete = ({ requests }: Client): boolean => requests.every(({ spec }) => spec.end !== 'missing');
    for (const client of this.#clients) {
      if (client.isFaithful && isComplete(client)) assert.notEqual(client.peer.closed, 'no');
    }
    if (rig.front.counts().requests === 0) assert.ok(rig.drained > 0);
  }

  #open(spec: ConnectionSpec): void {
    const { rig } = this;
    const number = this.#clients.length;
    const lanes: Buffer[][] = [];
    const requests: Expected[] = [];
    let fcgiId = 0;
    for (const [index, each] of spec.requests.entries()) {
      if (!each.reusesId || fcgiId === 0) fcgiId += 1;
      const tag = `${number}.${index}`;
      const body = Buffer.from(Array.from({ length: each.bodyBytes }, (_, at) => (at * 7 + index) & 255));
      const sharesId = spec.requests.some((other, at) => other.reusesId && at > 0);
      const expected = { tag, fcgiId, body, spec: each, sharesId, role: each.role };
      requests.push(expected);
      this.#expected.set(tag, expected);
      lanes.push(recordsOf(expected));
    }
    const merged: Buffer[] = [];
    for (let turn = 0; lanes.some((lane) => lane.length > 0); turn++) {
      const waiting = lanes.filter((lane) => lane.length > 0);
      const lane = waiting[(spec.order[turn] ?? 0) % waiting.length] as Buffer[];
      merged.push(lane.shift() as Buffer);
    }
    const trailer = trailerBytes(spec.trailer);
    const hasBadId = spec.requests.some((each, index) => each.reusesId && index > 0);
    const begun = new BegunRequests();
    const peer = this.rig.options.lends ? rig.connect() : rig.open();
    peer.onRead = (bytes) => begun.note(bytes);
    peer.onClosedWhileRead = () => begun.noteClosed();
    this.#clients.push({
      peer,
      requests,
      trailer: spec.trailer,
      leftAfter: spec.order.length > 0 ? [] : requests.map((_, at) => bytesOf(requests.slice(at + 1)) + trailer.length),
      rest: Buffer.concat([...merged, trailer]),
      begun,
      isFaithful: !hasBadId && spec.trailer !== 'garbage',
      hasEnded: false,
    });
  }

  /** Sends some of what is left, unless the front has paused the connection. Returns whether it did. */
  #send(client: Client, bytes: number): boolean {
    const { peer } = client;
    if (client.rest.length === 0 || client.hasEnded || !isOpen(client) || peer.isPaused) return false;
    const piece = client.rest.subarray(0, bytes);
    client.rest = client.rest.subarray(bytes);
    this.rig.send(peer, piece);
    return true;
  }

  /** As a web server does: a whole request, or the rest of one, when it has had the answer to the one before. */
  #sendRequest(number: number): void {
    const able = this.#clients.filter((client) => {
      const isBetweenTwo = client.leftAfter.includes(client.rest.length);
      return isOpen(client) && client.rest.length > 0 && (!isBetweenTwo || client.peer.isAnswered);
    });
    const client = pick(able, number);
    if (client === undefined) return;
    const left = client.rest.length;
    this.#send(client, left - (client.leftAfter.find((after) => after < left) ?? 0));
  }

  /** Workers for which a step is something, if it can be seen. */
  #workersFor(step: Step): FakeWorker[] {
    const { workers } = this.rig;
    if (['end', 'output', 'read', 'suspend'].includes(step)) return workers.filter(({ running }) => running);
    if (step === 'resume') return workers.filter(({ running, suspended }) => !running && suspended.length > 0);
    if (step === 'hang') return workers.filter(({ isGone }) => !isGone);
    if (step === 'go' || step === 'serve')
      return workers.filter(({ direct, running }) => direct?.isAsleep === false && !running);
    return [];
  }

  /** Its client has sent its last byte. */
  #end(client: Client): void {
    client.hasEnded = true;
    client.isFaithful = false;
    this.rig.endReading(client.peer);
  }

  /** What is still unread when a connection is closed came too late. */
  #noteClosed(): void {
    for (const client of this.#clients) {
      if (isOpen(client)) continue;
      if (client.peer.isReadByWorker) client.begun.noteClosed();
      client.peer.isReadByWorker = false;
      client.peer.unread = Buffer.alloc(0);
      client.peer.hasEnd = false;
    }
  }

  /** A worker ends at a lent connection: nobody knows how far it has come, and it is broken. */
  #noteLost(worker: FakeWorker): void {
    const connection = worker.direct?.isInTheMiddleOf;
    const waiting = worker.lender.waiting.list().map(({ descriptor }) => descriptor);
    for (const client of this.#clients) {
      if (client.peer.id === connection || waiting.includes(client.peer.id)) client.isFaithful = false;
    }
  }

  /** A look-up finds the file that the path leads to now, or leads elsewhere from now on. */
  #find(index: number, moves: boolean): void {
    const { path } = this.rig.lookUps[index] as { path: string };
    this.rig.found(index, moves ? otherFile(path) : path);
  }

  /** Housekeeping has found a path to lead elsewhere. */
  #remember(path: string, moves: boolean): void {
    const { rig } = this;
    // It looks only at paths that are known.
    if (rig.front.lookUps.find(path) === undefined) return;
    const file = moves ? otherFile(path) : path;
    rig.files.set(path, file);
    rig.event(() => rig.front.lookUps.remember(path, file));
  }

  /** Other settings and other workers: those that there are end when they have done what they have begun with. */
  #reload(number: number): void {
    const { rig } = this;
    for (const worker of rig.workers) this.#retired.add(worker);
    this.#placeOf.clear();
    const settings = { maxPostBytes: 50 * (number % 3), queueTimeoutMs: 500 + number };
    for (const [index, worker] of rig.renew(settings, rig.options.pool.workers).entries()) {
      this.#watch(worker);
      this.#placeOf.set(worker, index);
    }
  }

  /** The front has given up workers that hang: what they had to say is lost. */
  #noteAbandoned(): void {
    const { abandoned } = this.rig;
    if (abandoned.length === this.#abandoned) return;
    this.#abandoned = abandoned.length;
    for (const worker of this.rig.workers) {
      if (!worker.isGone) continue;
      this.#said.cut(this.#lastRun.get(worker) ?? '');
      this.#noteLost(worker);
    }
  }

  /** The threads of workers that were told to end have ended, once they have done what they were given. */
  #endStopped(): boolean {
    const done = this.rig.workers.filter(
      (each) => each.isToldToStop && !each.isGone && !each.isBlocked && !each.running && !each.direct?.isInside,
    );
    for (const worker of done) this.rig.killWorker(worker, 'it was stopped');
    return done.length > 0;
  }

  #work(worker: FakeWorker, step: Step, amount: number): void {
    const { rig } = this;
    if (worker.direct?.isInside && step !== 'die') return;
    if (step === 'hang') worker.hangsAt = pick(['collect', 'close', 'end'] as const, amount);
    else if (step === 'resume') {
      if (!worker.isStuck && !worker.isToldToStop) worker.resume();
      return;
    } else if (step === 'flush') worker.flush();
    else if (step === 'listen') worker.listen();
    else if (step === 'go') worker.go();
    else if (step === 'serve') for (let left = amount % 16; left > 0 && worker.go(); left -= 1);
    else if (step === 'served') {
      const state = pick([...worker.states], amount);
      if (state !== undefined && worker.running === undefined && worker.direct !== undefined && !worker.isToldToStop)
        worker.served(state, amount % 4 === 0 ? 60 : 0);
    } else if (step === 'die' && amount % 8 === 0) {
      if (worker.isBlocked || worker.direct?.isInTheMiddleOf !== undefined) {
        this.#said.cut(this.#lastRun.get(worker) ?? '');
      }
      this.#noteLost(worker);
      rig.killWorker(worker);
    }
    const { running } = worker;
    if (running === undefined || worker.isBlocked || worker.isGone || worker.isStuck) return;
    const name = running.params.get('TAG') ?? '';
    this.#lastRun.set(worker, name);
    const tag = `[${name}]`;
    switch (step) {
      case 'read':
        worker.read();
        break;
      case 'output':
        // As a real one does where its script can be suspended.
        if (amount % 4 > 0 && worker.isHeld(running.id)) {
          if (running.bodyEnded && running.dataEnded) worker.suspend();
          break;
        }
        this.#said.say(name, tag.repeat(1 + (amount % 20)));
        worker.output(tag.repeat(1 + (amount % 20)));
        break;
      case 'finish':
        this.#said.complete(name);
        worker.finish(amount % 3);
        break;
      case 'end':
        // Short ones make the front offer requests to busy workers.
        worker.tookMs = amount % 16 === 0 ? 60 : 0;
        this.#endRun(worker, tag.repeat(amount % 20), false, amount % 2);
        break;
      case 'endGone':
        this.#endRun(worker, tag, true);
        break;
      case 'limit':
        if (amount % 2 === 0) worker.limit(FromWorker.WATCHDOG, amount);
        else worker.limit(FromWorker.ON_ABORT, amount % 4 === 1 ? 1 : 0);
        break;
      case 'log':
        worker.log('info', tag);
        break;
      case 'suspend':
        if (running.bodyEnded && running.dataEnded) worker.suspend();
        break;
      case 'depends':
        worker.depends(running.script, String(this.#versions));
        break;
    }
  }

  #addWorker(index: number): FakeWorker {
    const worker = this.rig.addWorker(index);
    this.#watch(worker);
    return worker;
  }

  #watch(worker: FakeWorker): void {
    worker.pathsMayMove = true;
    if (worker.direct !== undefined) worker.direct.onPause = () => this.#pause();
  }

  #endRun(worker: FakeWorker, last: string, gone = false, appStatus = 0): void {
    const name = worker.running?.params.get('TAG') ?? '';
    this.#lastRun.set(worker, name);
    if (worker.hangsAt === 'end') return worker.hangAfterScript();
    this.#said.say(name, last);
    this.#said.complete(name);
    worker.end(last, gone, appStatus);
  }

  #replaceDead(): boolean {
    const { rig } = this;
    if (this.#isStopping) return false;
    const { workers } = rig.options.pool;
    const living = rig.workers.filter((worker) => !worker.isGone && !this.#retired.has(worker)).length;
    if (living === workers) return false;
    // A place among the workers is taken over by the one that replaces the dead: here always the first free one.
    const taken = new Set(this.#places.values());
    const place = [...Array(workers).keys()].find((index) => !taken.has(index)) ?? 0;
    this.#places.set(this.#addWorker(place), place);
    return true;
  }

  /** Where each living worker stands. */
  get #places(): Map<FakeWorker, number> {
    const { rig } = this;
    if (this.#placeOf.size === 0 && this.#retired.size === 0) {
      for (const [index, worker] of rig.workers.slice(0, rig.options.pool.workers).entries()) {
        this.#placeOf.set(worker, index);
      }
    }
    for (const worker of this.#placeOf.keys()) if (worker.isGone) this.#placeOf.delete(worker);
    return this.#placeOf;
  }
  readonly #placeOf = new Map<FakeWorker, number>();

  /** One round of everybody going on. Returns whether anything happened. */
  #finishSome(): boolean {
    const { rig } = this;
    let moved = false;
    this.#noteAbandoned();
    while (this.#replaceDead()) moved = true;
    if (this.#endStopped()) moved = true;
    for (const client of this.#clients) {
      const { peer } = client;
      peer.isSlow = false;
      if (peer.unsentBytes > 0 && peer.closed !== 'gone') rig.sendUnsent(peer);
      while (this.#send(client, 100)) moved = true;
    }
    for (; rig.lookUps.length > 0; moved = true) rig.found();
    rig.look(this.rig.options.lends ? 1 : 0);
    this.#noteClosed();
    const starved: FakeWorker[] = [];
    for (const worker of rig.workers) {
      if (!worker.isGone && !worker.isStuck && worker.resume()) moved = true;
      const { running } = worker;
      if (running === undefined || worker.isGone || worker.isBlocked || worker.isStuck || worker.direct?.isInside)
        continue;
      const before = running.body.length + running.data.length;
      worker.readAll();
      this.#checkBody(worker);
      const isComplete = running.bodyEnded && running.dataEnded;
      if (!isComplete && running.body.length + running.data.length === before) {
        starved.push(worker);
        continue;
      }
      moved = true;
      if (isComplete) this.#answer(worker);
    }
    rig.settle();
    if (moved || starved.length === 0) return moved;
    // Their body will not come: its web server does not send it, or holds it back for another request's sake.
    for (const worker of starved) this.#answer(worker);
    rig.settle();
    return true;
  }

  #answer(worker: FakeWorker): void {
    this.#endRun(worker, `${answer('')}[${worker.running?.params.get('TAG')}]`);
  }

  /** Whether clients have limits that these, who do things now and then, may go past. */
  get #hangsUpOnSlow(): boolean {
    const { idleTimeoutMs, readTimeoutMs, sendTimeoutMs, sendTotalBytes } = this.rig.options.front;
    const timeouts = [idleTimeoutMs, readTimeoutMs, sendTimeoutMs];
    return sendTotalBytes !== undefined || timeouts.some((timeoutMs) => timeoutMs !== undefined && timeoutMs < 1e6);
  }

  #checkModel(client: Client, mustBeAnswered: Parameters<typeof checkOwnAnswers>[4]): void {
    const { peer, requests, begun } = client;
    // Who has not asked for anything is not hung up on, but some time after the server has begun to stop.
    if (client.isFaithful && !this.#hangsUpOnSlow && begun.isEmpty && peer.closed !== 'no' && peer.closed !== 'gone') {
      assert.ok(this.rig.nowMs >= this.#drainsSinceMs + 500, `connection ${peer.id} was closed before it asked`);
    }
    checkOwnAnswers(peer, requests, begun, this.#said, mustBeAnswered);
  }

  /** What a worker has read is the body that was sent, as far as it may have it. */
  #checkBody(worker: FakeWorker): void {
    const { running } = worker;
    if (running === undefined) return;
    const expected = this.#expected.get(running.params.get('TAG') ?? '');
    assert.ok(expected, 'a worker runs a request that nobody sent');
    if (expected.sharesId) return;
    assert.ok([expected.spec.script, otherFile(expected.spec.script)].includes(running.script), running.script);
    const allowed = Math.min(announced(expected) ?? expected.body.length, expected.body.length);
    assert.ok(running.body.length <= allowed, `${running.body.length} bytes of body, ${allowed} allowed`);
    assert.deepEqual(running.body, expected.body.subarray(0, running.body.length));
    assert.equal(running.role, expected.role);
    this.#checkData(running, expected);
    const { method, end } = expected.spec;
    if (!running.bodyEnded || running.fault !== 0 || (end !== 'sent' && method !== 'POST')) return;
    // Of a body that nobody announced and of which nothing came before a half close nobody can know.
    const client = this.#clients[Number.parseInt(expected.tag, 10)];
    const mayBeLate = (this.rig.options.front.readTimeoutMs ?? Number.MAX_VALUE) < 1e6;
    if (
      (client?.hasEnded || mayBeLate) &&
      method !== 'POST' &&
      announced(expected) === undefined &&
      running.body.length === 0
    )
      return;
    assert.equal(running.body.length, announced(expected) ?? expected.body.length);
  }

  /** What a Filter has read is the file that was sent, as far as it may have it. */
  #checkData({ data, dataEnded, fault }: Run, expected: Expected): void {
    if (expected.role !== ROLE.FILTER) return assert.equal(data.length, 0);
    const sent = dataOf(expected);
    const wanted = Math.min(announcedData(expected) ?? sent.length, sent.length);
    assert.ok(data.length <= wanted, `${data.length} bytes of file, ${wanted} allowed`);
    assert.deepEqual(data, sent.subarray(0, data.length));
    if (dataEnded && fault === 0) assert.equal(data.length, announcedData(expected) ?? sent.length);
  }

  #checkAnswers(client: Client): void {
    const { peer } = client;
    const ends = new Map<number, number>();
    const output = new Map<number, string>();
    for (const { type, id, content } of peer.records) {
      if (type === TYPE.END_REQUEST) {
        ends.set(id, (ends.get(id) ?? 0) + 1);
        // An id may be used again: what a worker that died left unfinished does not go on in the next answer.
        if (output.has(id)) output.set(id, `${output.get(id)}\n`);
      }
      if (type === TYPE.STDOUT) output.set(id, (output.get(id) ?? '') + content.toString('latin1'));
    }
    for (const [id, text] of output) {
      const own = new Set(client.requests.filter((each) => each.fcgiId === id).map(({ tag }) => tag));
      for (const [, tag] of text.matchAll(/\[([^\]\n]*)\]/g)) {
        assert.ok(own.has(tag as string), `output of ${tag} under id ${id} of connection ${peer.id}`);
      }
    }
    // Whom the front has hung up on has had the answers of all requests that it had begun.
    const isOwed = ({ tag }: { readonly tag: string }): boolean => this.#expected.get(tag)?.spec.end !== 'missing';
    const mayDemand = client.isFaithful && !this.#hangsUpOnSlow && peer.closed !== 'gone';
    this.#checkModel(client, mayDemand ? isOwed : undefined);
    if (!client.isFaithful || peer.closed !== 'no') return;
    assert.equal(client.rest.length, 0, 'the connection was never read to its end');
    for (const { fcgiId, spec } of client.requests) {
      if (spec.end !== 'missing') assert.equal(ends.get(fcgiId), 1, `ends of request ${fcgiId}`);
    }
  }
}

/** How much body the server may expect: an Authorizer has none, whatever its CONTENT_LENGTH says. */
function announced(expected: Expected): number | undefined {
  return expected.spec.role === ROLE.AUTHORIZER ? 0 : lengthOf(expected);
}

/** The file that a Filter is given. */
function dataOf({ body }: Expected): Buffer {
  return Buffer.from(Array.from({ length: (body.length * 3) % 251 }, (_, at) => (at * 11) & 255));
}

/** What FCGI_DATA_LENGTH says. */
function announcedData(expected: Expected): number | undefined {
  const { length } = dataOf(expected);
  if (expected.spec.length === 'unknown') return undefined;
  return expected.spec.length === 'longer' ? length + 5 : expected.spec.length === 'shorter' ? length >> 1 : length;
}

/** What its CONTENT_LENGTH says. */
function lengthOf({ body, spec }: Expected): number | undefined {
  switch (spec.length) {
    case 'right':
      return spec.method === 'POST' ? body.length : undefined;
    case 'unknown':
      return undefined;
    case 'longer':
      return body.length + 5;
    case 'shorter':
      return body.length >> 1;
  }
}

function recordsOf(expected: Expected): Buffer[] {
  const { fcgiId: id, spec, tag, body } = expected;
  const params = {
    TAG: tag,
    SCRIPT_FILENAME: spec.script,
    REQUEST_METHOD: spec.method,
    CONTENT_LENGTH: String(lengthOf(expected) ?? ''),
    FCGI_DATA_LENGTH: String(announcedData(expected) ?? ''),
  };
  const records = [beginRequest(id, { keepConn: spec.keepConn, role: spec.role })];
  for (const part of splitEvery(pairs(params), spec.recordBytes)) records.push(record(TYPE.PARAMS, id, part, 3));
  records.push(record(TYPE.PARAMS, id));
  // Of an Authorizer Apache sends no STDIN at all, lighttpd an empty one.
  const sendsBody = spec.role !== ROLE.AUTHORIZER;
  for (const part of splitEvery(sendsBody ? body : Buffer.alloc(0), spec.recordBytes))
    records.push(record(TYPE.STDIN, id, part));
  if (spec.end === 'sent' && (sendsBody || body.length % 2 === 0)) records.push(record(TYPE.STDIN, id));
  if (spec.role === ROLE.FILTER && spec.end === 'sent') {
    const data = dataOf(expected);
    for (const part of splitEvery(data, spec.recordBytes)) records.push(record(TYPE.DATA, id, part));
    records.push(record(TYPE.DATA, id));
  }
  if (spec.end === 'abort') records.push(record(TYPE.ABORT_REQUEST, id));
  return records;
}

function bytesOf(requests: readonly Expected[]): number {
  return requests.reduce((sum, each) => sum + Buffer.concat(recordsOf(each)).length, 0);
}

function trailerBytes(trailer: ConnectionSpec['trailer']): Buffer {
  switch (trailer) {
    case 'none':
      return Buffer.alloc(0);
    case 'values':
      return record(TYPE.GET_VALUES, 0, pairs({ FCGI_MAX_CONNS: '' }));
    case 'unknown type':
      return record(200, 0, 'what is this', 4);
    case 'stale':
      return stream(TYPE.STDIN, 500, 'nobody asked for this');
    case 'garbage':
      return Buffer.from('GET / HTTP/1.1\r\n\r\n');
  }
}

function isOpen({ peer }: Client): boolean {
  return peer.closed === 'no';
}

function pick<Item>(items: readonly Item[], number: number): Item | undefined {
  return items[number % Math.max(1, items.length)];
}
