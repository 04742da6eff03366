/**
 * A walk through every order in which the two ends of a gate can take their steps. The ends are the real ones
 * (`Borrower`, `Lender`): each of their calls is cut at every operation on a shared word, and between two of those the
 * other end may go on. What a worker and the front do with them is told by two small programs, which make every choice.
 *
 * A call is cut by running it again and again: what it did before is not done but remembered, one operation more is
 * done, and at the next one it is left by an exception.
 */
import { Borrower, createLoans, Lender } from '../../../src/channel/lending.js';
import { FromWorker } from '../../../src/channel/messages.js';

/** What is left out, to see that the walk finds it. */
export type Flaw =
  | 'nothing'
  | 'the front does not compare what was posted with what it has handled'
  | 'a message is posted after the gate is left'
  | 'connections are taken back after the gate is released'
  | 'a connection is watched until after it is noted as taken back'
  | 'the worker does not look whether connections were taken back'
  | 'the worker does not look whether it is wanted'
  | 'the worker accepts before the front knows its last connection'
  | 'the gate does not say which request runs'
  | 'the worker answers without a claim'
  | 'the descriptor is stored after the gate is moved';

/** One end between two steps: where its program is, and what the call under way has done so far. */
interface End {
  readonly pc: string;
  readonly done: readonly number[];
  /** Rounds that it may still begin. */
  readonly left: number;
}

interface Worker extends End {
  /** The connection that it goes to; -1: to a listening socket. */
  readonly descriptor: number;
  readonly recalls: number;
  /** Requests that it has begun with; the last one may run. */
  readonly begun: number;
  readonly wasWanted: boolean;
  readonly message: number;
}

interface Front extends End {
  readonly acknowledged: number;
  /** What its books say: whether connection 1 is lent. */
  readonly isLent: boolean;
}

/** What is true, whoever knows it. */
interface Truth {
  readonly isLent: boolean;
  /** Connection 2, which the worker accepts. */
  readonly accepted: 'none' | 'unknown' | 'known' | 'closed';
  /** Messages in the ring: type and connection. */
  readonly ring: readonly (readonly [type: number, descriptor: number])[];
  readonly isWorkerAt: boolean;
  readonly isFrontAt: boolean;
  /** The request that the front has taken over, and its connection. */
  readonly takenOver: number;
  readonly takenFrom: number;
  /** Where the worker was when the gate was shut; 0: at none, -1: it was about to accept. */
  readonly shutAt: number;
}

export interface State {
  readonly words: readonly number[];
  readonly worker: Worker;
  readonly front: Front;
  readonly truth: Truth;
}

export interface Walk {
  readonly states: number;
  /** Moves of the gate that were seen, as its table names them. */
  readonly transitions: ReadonlySet<string>;
  /** What went wrong first, and the steps to it. */
  readonly fault: string | undefined;
}

const PLACES = ['OPEN', 'READING', 'RUNNING', 'ANSWERING', 'HELD', 'SHUT'];
/** Words of src/channel/lending.ts. */
const GATE = 0;
const BEGUN = 14;

class Cut extends Error {}
class Fault extends Error {}

const real = {
  load: Atomics.load,
  store: Atomics.store,
  add: Atomics.add,
  exchange: Atomics.exchange,
  compareExchange: Atomics.compareExchange,
};
type Operation = keyof typeof real;

const shared = createLoans();
const words = new Int32Array(shared, 0, 18);

export function walk(rounds: { readonly worker: number; readonly front: number }, flaw: Flaw = 'nothing'): Walk {
  return new Walker(flaw).walk(rounds);
}

class Walker {
  readonly #flaw: Flaw;
  readonly #transitions = new Set<string>();

  constructor(flaw: Flaw) {
    this.#flaw = flaw;
  }

  walk(rounds: { readonly worker: number; readonly front: number }): Walk {
    const seen = new Set<string>();
    const first: State = {
      words: firstWords(),
      worker: {
        pc: 'look',
        done: [],
        left: rounds.worker,
        descriptor: 0,
        recalls: 0,
        begun: 0,
        wasWanted: false,
        message: 0,
      },
      front: { pc: 'idle', done: [], left: rounds.front, acknowledged: 0, isLent: true },
      truth: {
        isLent: true,
        accepted: 'none',
        ring: [],
        isWorkerAt: false,
        isFrontAt: false,
        takenOver: 0,
        takenFrom: 0,
        shutAt: 0,
      },
    };
    const todo: { readonly state: State; readonly way: Way | undefined }[] = [{ state: first, way: undefined }];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const { state, way } = next;
      const key = JSON.stringify(state);
      if (seen.has(key)) continue;
      seen.add(key);
      try {
        for (const [name, after] of this.#after(state)) todo.push({ state: after, way: { name, before: way } });
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        const fault = `${error.message}, after: ${wayTo(way)}`;
        return { states: seen.size, transitions: this.#transitions, fault };
      }
    }
    return { states: seen.size, transitions: this.#transitions, fault: undefined };
  }

  *#after(state: State): Iterable<readonly [string, State]> {
    for (const after of this.#worker(state)) yield [`worker ${state.worker.pc}`, after];
    for (const after of this.#front(state)) yield [`front ${state.front.pc}`, after];
  }

  // ---- the worker

  *#worker(state: State): Iterable<State> {
    const { worker, truth } = state;
    const { pc, descriptor } = worker;
    const isFlawed = (flaw: Flaw): boolean => this.#flaw === flaw;
    const go = (to: string, change: Partial<Worker> = {}, isTrue: Partial<Truth> = {}, from = state): State => ({
      ...from,
      worker: { ...from.worker, pc: to, done: [], ...change },
      truth: { ...from.truth, ...isTrue },
    });
    const call = <T>(method: (borrower: Borrower) => T, then: (result: T, after: State) => Iterable<State>) =>
      this.#call(state, 'worker', () => method(this.#borrower(state)), then);
    switch (pc) {
      case 'look':
        // New events: those of connections that are lent now, and of the listening socket.
        if (worker.left === 0) return;
        yield* call(
          (borrower) => borrower.recalls,
          function* (recalls, after) {
            const left = worker.left - 1;
            if (truth.isLent) yield go('begin', { recalls, descriptor: 1, left }, {}, after);
            yield go('begin', { recalls, descriptor: -1, left }, {}, after);
          },
        );
        return;
      case 'begin':
        yield* call(
          (borrower) => this.#begin(borrower, descriptor),
          function* (has, after) {
            if (has) yield go('entered', {}, {}, after);
            else yield go('look', {}, {}, after);
          },
        );
        return;
      case 'entered':
        if (isFlawed('the worker does not look whether connections were taken back')) yield go('look at wish');
        else
          yield* call(
            ({ recalls }) => recalls,
            function* (recalls, after) {
              yield go(recalls === worker.recalls ? 'look at wish' : 'leave', {}, {}, after);
            },
          );
        return;
      case 'look at wish':
        yield* call(
          ({ isWanted }) => isWanted,
          function* (isWanted, after) {
            const stays = isWanted && !isFlawed('the worker does not look whether it is wanted');
            yield go(stays ? 'leave' : descriptor < 0 ? 'accept' : 'read', { wasWanted: isWanted }, {}, after);
          },
        );
        return;
      case 'read':
        if (!truth.isLent) throw new Fault('the worker reads from a connection that it does not have');
        if (worker.wasWanted) throw new Fault('the worker begins with a connection although it is wanted');
        yield go('leave');
        yield go('post', { message: FromWorker.RETURNED });
        yield go('run');
        return;
      case 'accept':
        yield* call(
          ({ isAnnouncing }) => isAnnouncing,
          function* (isAnnouncing, after) {
            const mayNot = isAnnouncing && !isFlawed('the worker accepts before the front knows its last connection');
            if (mayNot) yield go('leave', {}, {}, after);
            else if (truth.accepted === 'unknown')
              throw new Fault('two connections are open that the front does not know');
            else yield go('accepted', { descriptor: 2 }, { accepted: 'unknown' }, after);
          },
        );
        return;
      case 'accepted':
        yield* call(
          (borrower) => borrower.accepted(2),
          function* (_, after) {
            yield go('post', { message: FromWorker.ACCEPTED }, {}, after);
            yield go('run', {}, {}, after);
          },
        );
        return;
      case 'run':
        yield* call(
          (borrower) => borrower.run(worker.begun + 1, 7, 1),
          function* (_, after) {
            yield go('claim', { begun: worker.begun + 1 }, {}, after);
          },
        );
        return;
      case 'claim':
        yield* call(
          (borrower) => this.#claim(borrower),
          function* (isOwn, after) {
            if (isOwn && truth.takenOver === worker.begun) throw new Fault('both answer one request');
            if (!isOwn) yield go('look', {}, {}, after);
            else for (const to of ['answer', 'promote']) yield go(to, {}, {}, after);
          },
        );
        return;
      case 'answer':
        if (descriptor === 1) {
          yield go('leave');
          yield go('post', { message: FromWorker.RETURNED });
        } else {
          yield go('close');
          yield go('post', { message: FromWorker.ACCEPTED });
        }
        return;
      case 'promote':
        yield go('post', { message: FromWorker.PROMOTED });
        return;
      case 'close':
        yield* call(
          (borrower) => borrower.accepted(-1),
          function* (_, after) {
            yield go('leave', { descriptor: -1 }, { accepted: 'closed' }, after);
          },
        );
        return;
      case 'post': {
        const isLate = isFlawed('a message is posted after the gate is left');
        const method = isLate ? (each: Borrower) => each.leave() : (each: Borrower) => each.post(worker.message);
        yield* call(method, function* (_, after) {
          yield go(isLate ? 'post late' : 'write', {}, {}, after);
        });
        return;
      }
      case 'post late':
        yield* call(
          (borrower) => borrower.post(worker.message),
          function* (_, after) {
            yield go('write', {}, {}, after);
          },
        );
        return;
      case 'write': {
        if (descriptor === 1 && !truth.isLent) throw new Fault('the worker gives back what it does not have');
        const ring = [...truth.ring, [worker.message, descriptor] as const];
        const isLent = descriptor === 1 ? false : truth.isLent;
        yield go('leave', { message: 0 }, { ring, isLent });
        return;
      }
      case 'leave':
        yield* call(
          (borrower) => borrower.leave(),
          function* (_, after) {
            yield go('look', { descriptor: 0 }, {}, after);
          },
        );
        return;
    }
  }

  #begin(borrower: Borrower, descriptor: number): boolean {
    if (this.#flaw !== 'the descriptor is stored after the gate is moved') return borrower.begin(descriptor);
    const has = borrower.begin(-1);
    if (has) borrower.accepted(descriptor);
    return has;
  }

  #claim(borrower: Borrower): boolean {
    const isOwn = borrower.claim();
    return isOwn || this.#flaw === 'the worker answers without a claim';
  }

  // ---- the front

  *#front(state: State): Iterable<State> {
    const { front, truth } = state;
    const go = (to: string, change: Partial<Front> = {}, isTrue: Partial<Truth> = {}, from = state): State => ({
      ...from,
      front: { ...from.front, pc: to, done: [], ...change },
      truth: { ...from.truth, ...isTrue },
    });
    const call = <T>(method: (lender: Lender) => T, then: (result: T, after: State) => Iterable<State>) =>
      this.#call(state, 'front', () => method(this.#lender(state)), then);
    switch (front.pc) {
      case 'idle': {
        const [message] = truth.ring;
        if (message !== undefined) yield this.#handled(state, message);
        if (front.left === 0) return;
        const left = front.left - 1;
        for (const to of ['hold', 'want', 'take over', 'shut']) yield go(to, { left });
        // A connection that has come back is lent again.
        if (!front.isLent && !truth.ring.some(([, descriptor]) => descriptor === 1)) yield go('lend', { left });
        return;
      }
      case 'lend':
        // First the worker watches it.
        yield go('lent', { isLent: true }, { isLent: true });
        return;
      case 'lent':
        yield* call(
          (lender) => lender.noteLent(1, false),
          function* (_, after) {
            yield go('idle', {}, {}, after);
          },
        );
        return;
      case 'known':
        yield* call(
          (lender) => lender.acknowledgeAccepted(),
          function* (_, after) {
            yield go('idle', {}, {}, after);
          },
        );
        return;
      case 'want':
        yield* call(
          (lender) => {
            lender.isWanted = true;
          },
          function* (_, after) {
            yield go('hold', {}, {}, after);
          },
        );
        return;
      case 'hold':
        yield* call(
          (lender) => lender.hold(),
          (has, after) => (has ? this.#held(go, after) : [go('idle', {}, {}, after)]),
        );
        return;
      case 'take back':
        // First the worker watches it no more.
        if (truth.isLent && this.#flaw !== 'a connection is watched until after it is noted as taken back') {
          yield go('take back', {}, { isLent: false });
          return;
        }
        yield* call(
          (lender) => lender.noteLent(0, true),
          function* (_, after) {
            yield go(truth.isFrontAt ? 'release' : 'idle', { isLent: false }, { isLent: false }, after);
          },
        );
        return;
      case 'stop wanting':
        yield* call(
          (lender) => {
            lender.isWanted = false;
          },
          function* (_, after) {
            yield go('release', {}, {}, after);
          },
        );
        return;
      case 'release late':
      case 'release':
        yield* call(
          (lender) => lender.release(),
          function* (_, after) {
            yield go(front.pc === 'release' ? 'idle' : 'take back', {}, { isFrontAt: false }, after);
          },
        );
        return;
      case 'take over':
        yield* call(
          (lender) => lender.takeOver(),
          function* (lent, after) {
            if (lent === undefined) yield go('idle', {}, {}, after);
            else {
              if (truth.ring.length > 0)
                throw new Fault('a request is taken over, and what was said before is not handled');
              const { takenOver, takenFrom } = after.truth;
              if (lent.request !== takenOver || lent.descriptor !== takenFrom)
                throw new Fault(
                  `${lent.request} of ${lent.descriptor} is taken over, not ${takenOver} of ${takenFrom}`,
                );
              const isLent = lent.descriptor === 1 ? false : after.truth.isLent;
              const accepted = lent.descriptor === 2 ? 'known' : after.truth.accepted;
              const change = { isFrontAt: true, isLent, accepted } as const;
              yield go(lent.descriptor === 1 ? 'take back' : 'release', { isLent }, change, after);
            }
          },
        );
        return;
      case 'shut':
        yield* call(
          (lender) => lender.shut(),
          function* (descriptor, after) {
            const { accepted, shutAt } = after.truth;
            const mayBe: (number | undefined)[] = shutAt > 0 ? [shutAt] : shutAt < 0 ? [2, undefined] : [undefined];
            if (shutAt === 2 && accepted === 'closed') mayBe.push(undefined);
            if (!mayBe.includes(descriptor))
              throw new Fault(`the worker was at ${shutAt}, the front is told ${descriptor}`);
            yield go('over', {}, {}, after);
          },
        );
        return;
    }
  }

  #held(
    go: (to: string, change?: Partial<Front>, isTrue?: Partial<Truth>, from?: State) => State,
    after: State,
  ): State[] {
    const { truth, front } = after;
    if (truth.ring.length > 0) throw new Fault('the gate is held, and something that was said is not handled');
    if (front.isLent !== truth.isLent) throw new Fault('the gate is held, and the books of the front are wrong');
    const isLate = this.#flaw === 'connections are taken back after the gate is released';
    const inside = { isFrontAt: true };
    const ways = [go('stop wanting', {}, inside, after)];
    if (front.isLent) ways.push(go(isLate ? 'release late' : 'take back', {}, inside, after));
    return ways;
  }

  #handled(state: State, [type, descriptor]: readonly [number, number]): State {
    const { front, truth } = state;
    const isLent = descriptor === 1 ? false : front.isLent;
    const accepted = descriptor === 2 ? 'known' : truth.accepted;
    const pc = type === FromWorker.RETURNED ? 'idle' : 'known';
    return {
      ...state,
      front: { ...front, pc, isLent, acknowledged: front.acknowledged + 1 },
      truth: { ...truth, ring: truth.ring.slice(1), accepted },
    };
  }

  // ---- calls, one operation at a time

  #borrower({ worker }: State): Borrower {
    const borrower = new Borrower(shared);
    // The number of the request that runs, which it keeps for `claim`.
    const before = this.#flaw === 'the gate does not say which request runs' ? 0 : worker.begun - 1;
    if (worker.pc === 'claim')
      this.#replay(
        () => borrower.run(worker.begun, 7, 1),
        [worker.begun, 7, 1, before, PLACES.indexOf('READING')],
        false,
      );
    return borrower;
  }

  #lender({ front }: State): Lender {
    const lender = this.#flaw.startsWith('the front does not compare') ? new Trusting(shared) : new Lender(shared);
    for (let count = front.acknowledged; count > 0; count -= 1) lender.acknowledge();
    return lender;
  }

  *#call<T>(
    state: State,
    who: 'worker' | 'front',
    method: () => T,
    then: (result: T, after: State) => Iterable<State>,
  ): Iterable<State> {
    words.set(state.words);
    const done = [...state[who].done];
    const place = (words[GATE] as number) & 7;
    const result = this.#replay(method, done, true);
    const now = (words[GATE] as number) & 7;
    const after = this.#moved({ ...state, words: [...words] }, who, place, now);
    if (result === Cut) yield { ...after, [who]: { ...state[who], done } } as State;
    else yield* then(result as T, after);
  }

  /** Notes a move of the gate, and who is inside after it. */
  #moved(state: State, who: string, from: number, to: number): State {
    if (from === to) return state;
    const name = (place: number): string => PLACES[place] as string;
    this.#transitions.add(`${name(to) === 'SHUT' ? 'any' : name(from)} → ${name(to)} by ${who}`);
    let { truth } = state;
    if (who === 'worker') truth = { ...truth, isWorkerAt: name(to) !== 'OPEN' };
    else if (name(to) === 'SHUT') truth = { ...truth, shutAt: truth.isWorkerAt ? whereOf(state.worker) : 0 };
    else if (name(to) === 'HELD' && name(from) === 'RUNNING') {
      const { begun, pc, descriptor } = state.worker;
      const takenOver = pc === 'run' ? begun + 1 : begun;
      truth = { ...truth, isWorkerAt: false, takenOver, takenFrom: descriptor };
    } else if (name(to) === 'HELD' && truth.isWorkerAt) throw new Fault('both are at a connection');
    return { ...state, truth };
  }

  /** Runs a call again up to what it has done, and does one operation more. Gives `Cut` when it is not over then. */
  #replay<T>(method: () => T, done: number[], goesOn: boolean): T | typeof Cut {
    const isUncounted = this.#flaw === 'the gate does not say which request runs';
    let at = 0;
    let mayGoOn = goesOn;
    const patched = (operation: Operation) =>
      ((array: Int32Array, index: number, ...rest: number[]): number => {
        const known = done[at];
        if (known !== undefined) {
          at += 1;
          return known;
        }
        if (!mayGoOn) throw new Cut();
        mayGoOn = false;
        const did = (real[operation] as (...all: unknown[]) => number)(array, index, ...rest);
        const result = isUncounted && index === BEGUN ? 0 : did;
        done.push(result);
        at += 1;
        return result;
      }) as never;
    const notify = Atomics.notify;
    for (const operation of Object.keys(real) as Operation[]) Atomics[operation] = patched(operation);
    Atomics.notify = () => 0;
    try {
      return method();
    } catch (error) {
      if (error instanceof Cut) return Cut;
      throw error;
    } finally {
      Object.assign(Atomics, real, { notify });
    }
  }
}

/** It takes all that was posted for handled. */
class Trusting extends Lender {
  override get isUpToDate(): boolean {
    return true;
  }
}

/** Where it is as the words say: a connection that it accepts is written there a step later. */
function whereOf({ pc, descriptor, done }: Worker): number {
  return pc === 'accepted' && done.length === 0 ? -1 : descriptor;
}

interface Way {
  readonly name: string;
  readonly before: Way | undefined;
}

function wayTo(way: Way | undefined): string {
  const names: string[] = [];
  for (let at = way; at !== undefined; at = at.before) names.unshift(at.name);
  return names.join(', ');
}

/** Connection 1 is lent, and the worker may accept. */
function firstWords(): number[] {
  words.fill(0);
  const lender = new Lender(shared);
  lender.noteLent(1, false);
  lender.setListeners(1, 100);
  return [...words];
}
