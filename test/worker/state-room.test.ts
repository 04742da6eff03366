import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LuafcgidError } from '../../src/base/errors.js';
import { LuaError } from '../../src/lua/state.js';
import { StateRoom } from '../../src/worker/state-room.js';

/** A system with room for so many states. */
class Place {
  readonly states = new Map<number, { readonly id: number; isBusy: boolean; lastUse: number }>();
  readonly told: string[] = [];
  readonly closed: number[] = [];
  nowMs = 0;
  room: number;
  attempts = 0;
  readonly #room: StateRoom;
  #uses = 0;

  constructor(room: number) {
    this.room = room;
    this.#room = new StateRoom({
      states: this.states,
      nowMs: () => this.nowMs,
      close: (id) => {
        this.closed.push(id);
        this.states.delete(id);
      },
      tellFull: (message) => this.told.push(message),
    });
  }

  open(id: number, error: Error = new LuafcgidError('LUAFCGID_LUA_ADDRESS_SPACE', { reason: 'full' })): void {
    const state = this.#room.open(() => {
      this.attempts += 1;
      if (this.states.size >= this.room) throw error;
      this.#uses += 1;
      return { id, isBusy: false, lastUse: this.#uses };
    });
    this.states.set(id, state);
  }
}

describe('where the system has no room for another state (reports A11)', () => {
  it('the idle state goes that was not used for the longest, before a request is refused', () => {
    const place = new Place(3);
    for (const id of [1, 2, 3]) place.open(id);
    const [first, second] = [place.states.get(1), place.states.get(2)];
    assert.ok(first && second);
    first.lastUse = 9;
    second.isBusy = true;
    place.open(4);
    assert.deepEqual([...place.states.keys()], [1, 2, 4]);
    assert.match(place.told.join(), /no address space/);
  });

  it('it is remembered for a minute: no attempt is made in vain, and the log is told once', () => {
    const place = new Place(2);
    for (const id of [1, 2, 3]) place.open(id);
    place.attempts = 0;
    for (let id = 4; id < 20; id += 1) place.open(id);
    assert.equal(place.attempts, 16);
    assert.equal(place.told.length, 1);
    place.nowMs = 60_000;
    place.room = 3;
    place.open(20);
    assert.equal(place.states.size, 3);
  });

  it('is as good for memory that another state cannot have', () => {
    const place = new Place(1);
    place.open(1);
    place.open(2, new LuaError('memory', 'the system has no memory for another Lua state', ''));
    assert.deepEqual(place.closed, [1]);
  });

  it('is an error where all states are busy, and closes nothing for an error of another kind', () => {
    const place = new Place(1);
    place.open(1);
    assert.throws(() => place.open(2, new Error('of another kind')), /another kind/);
    for (const state of place.states.values()) state.isBusy = true;
    assert.throws(() => place.open(2), { code: 'LUAFCGID_LUA_ADDRESS_SPACE' });
    assert.deepEqual(place.closed, []);
  });

  it('no more than four states go for one', () => {
    const place = new Place(9);
    for (let id = 1; id <= 9; id += 1) place.open(id);
    place.room = 0;
    assert.throws(() => place.open(10), { code: 'LUAFCGID_LUA_ADDRESS_SPACE' });
    assert.equal(place.closed.length, 4);
  });
});
