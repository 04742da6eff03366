/**
 * Shared memory that threads change one at a time, and that stays in order when a thread ends in the middle of a change.
 *
 * The lock is a word with the number of its owner. A change writes the old value of each word into a journal before it
 * replaces it, so a change that was broken off can be taken back: by the main thread, which is told when a thread has ended
 * (`recover`), or by the owner itself, when an error has left the lock with it. The journal is emptied by `commit`.
 *
 * What a journal does not have to know: words that nothing refers to before the change is over.
 */
import { LuafcgidError } from '../base/errors.js';

/** Words at the start of the memory. */
const LOCK = 0;
const JOURNAL_LENGTH = 1;
const JOURNAL = 16;

/** Most words that one change may replace before it has to `commit`. */
const MOST_ENTRIES = 1000;

/** Bytes at the start of the memory that belong to the lock and the journal. */
export const CONTROL_BYTES = (JOURNAL + 2 * MOST_ENTRIES) * 4;

/** The word of the lock: the owner's number, and whether others sleep until it is free. */
const CONTENDED = 1 << 30;
const OWNER = CONTENDED - 1;

/** Looked at so often before a thread sleeps: most changes take less than a microsecond. */
const SPINS = 100;
/** A waiting thread looks again after so long even if nobody wakes it. */
const SLEEP_MS = 10;
/** It gives up after so long. No change takes nearly as much time. */
const PATIENCE_MS = 5000;

export class GuardedMemory {
  readonly words: Int32Array;
  readonly floats: Float64Array;
  readonly #owner: number;
  readonly #mostSleeps: number;

  /**
   * @param owner the number of this thread, unlike that of any other thread; at least 1
   * @param patienceMs how long it waits for the lock
   */
  constructor(shared: SharedArrayBuffer, owner: number, patienceMs = PATIENCE_MS) {
    this.words = new Int32Array(shared);
    this.floats = new Float64Array(shared);
    this.#owner = owner & OWNER;
    this.#mostSleeps = Math.ceil(patienceMs / SLEEP_MS);
  }

  /**
   * Does `work` while no other thread does, and commits it. What it throws takes back all that is not committed.
   * @throws LuafcgidError `LUAFCGID_SHARED_BUSY` when the lock does not become free
   */
  exclusive<T>(work: () => T): T {
    this.#acquire();
    let result: T;
    try {
      result = work();
    } catch (error) {
      // If this fails for want of stack, the lock stays with this thread, whose next call takes the change back.
      rollBack(this.words);
      release(this.words);
      throw error;
    }
    this.words[JOURNAL_LENGTH] = 0;
    release(this.words);
    return result;
  }

  /** What was changed so far stays, whatever happens then. */
  commit(): void {
    this.words[JOURNAL_LENGTH] = 0;
  }

  /** Replaces a word, so that it can be taken back. */
  set(at: number, value: number): void {
    const { words } = this;
    const entry = words[JOURNAL_LENGTH] as number;
    if (entry === MOST_ENTRIES) throw new RangeError('a change of shared memory is larger than its journal');
    words[JOURNAL + 2 * entry] = at;
    words[JOURNAL + 2 * entry + 1] = words[at] as number;
    // The entry counts from here on; the word is replaced after it.
    words[JOURNAL_LENGTH] = entry + 1;
    words[at] = value;
  }

  /** Replaces the two words of a 64-bit number. @param at the first of them, which is even */
  setFloat(at: number, value: number): void {
    this.set(at, this.words[at] as number);
    this.set(at + 1, this.words[at + 1] as number);
    this.floats[at >> 1] = value;
  }

  #acquire(): void {
    const { words } = this;
    const holder = Atomics.compareExchange(words, LOCK, 0, this.#owner);
    if (holder !== 0) this.#acquireHeld(holder);
  }

  #acquireHeld(holder: number): void {
    const { words } = this;
    // An error has left it with this thread.
    if ((holder & OWNER) === this.#owner) return rollBack(words);
    for (let spin = 0; spin < SPINS; spin += 1) {
      if (Atomics.load(words, LOCK) === 0 && Atomics.compareExchange(words, LOCK, 0, this.#owner) === 0) return;
    }
    for (let sleeps = 0; sleeps < this.#mostSleeps; ) {
      const current = Atomics.load(words, LOCK);
      if (current === 0) {
        // Others may sleep, too: whoever has slept takes it with the mark.
        if (Atomics.compareExchange(words, LOCK, 0, this.#owner | CONTENDED) === 0) return;
        continue;
      }
      const marked = current | CONTENDED;
      if (current !== marked && Atomics.compareExchange(words, LOCK, current, marked) !== current) continue;
      if (Atomics.wait(words, LOCK, marked, SLEEP_MS) === 'timed-out') sleeps += 1;
    }
    throw new LuafcgidError('LUAFCGID_SHARED_BUSY');
  }
}

/** Takes back what is not committed, the last word first. */
function rollBack(words: Int32Array): void {
  for (let entry = (words[JOURNAL_LENGTH] as number) - 1; entry >= 0; entry -= 1) {
    words[words[JOURNAL + 2 * entry] as number] = words[JOURNAL + 2 * entry + 1] as number;
  }
  words[JOURNAL_LENGTH] = 0;
}

function release(words: Int32Array): void {
  if ((Atomics.exchange(words, LOCK, 0) & CONTENDED) !== 0) Atomics.notify(words, LOCK, 1);
}

/**
 * A thread has ended: if it held the lock, its change is taken back and the lock is free.
 * @returns whether it held the lock
 */
export function recover(shared: SharedArrayBuffer, owner: number): boolean {
  const words = new Int32Array(shared);
  if ((Atomics.load(words, LOCK) & OWNER) !== (owner & OWNER)) return false;
  rollBack(words);
  release(words);
  return true;
}
