import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Waiter, WaitQueue } from '../../src/pool/wait-queue.js';

/** The first of each script's line, in the order of turns. */
function* heads(line: WaitQueue<Guest>): Iterable<Guest> {
  for (let head = line.head; head !== undefined; head = line.headAfter(head)) yield head;
}

interface Guest extends Waiter {
  readonly name: string;
}

function guest(script: string, name = script, queuedMs = 0): Guest {
  return { script, name, queuedMs };
}

function line(limit: number, ...guests: readonly Guest[]): WaitQueue<Guest> {
  const waiting = new WaitQueue<Guest>(limit);
  for (const each of guests) waiting.join(each);
  return waiting;
}

/** The next one is served, as the pool does it. */
function serve(waiting: WaitQueue<Guest>): Guest | undefined {
  for (const head of heads(waiting)) {
    waiting.leave(head);
    waiting.endTurn(head.script);
    return head;
  }
  return undefined;
}

function serveAll(waiting: WaitQueue<Guest>): string[] {
  const names: string[] = [];
  for (let next = serve(waiting); next !== undefined; next = serve(waiting)) names.push(next.name);
  return names;
}

describe('the waiting line', () => {
  it('is first come, first served within a script', () => {
    assert.deepEqual(serveAll(line(9, guest('a', 'a1'), guest('a', 'a2'), guest('a', 'a3'))), ['a1', 'a2', 'a3']);
  });

  it('lets scripts take turns, however long their lines are', () => {
    const waiting = line(9, ...['a1', 'a2', 'a3', 'b1', 'b2', 'c1'].map((name) => guest(name[0] as string, name)));
    assert.deepEqual(serveAll(waiting), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('passes over a script that cannot be served now without taking its turn away', () => {
    const waiting = line(9, guest('a'), guest('b', 'b1'), guest('b', 'b2'));
    const b1 = [...heads(waiting)][1] as Guest;
    waiting.leave(b1);
    waiting.endTurn('b');
    assert.deepEqual(
      [...heads(waiting)].map(({ name }) => name),
      ['a', 'b2'],
    );
  });

  it('lets anyone leave, from any place, and forgets nobody else', () => {
    const guests = ['a1', 'a2', 'a3', 'b1'].map((name) => guest(name[0] as string, name));
    const waiting = line(9, ...guests);
    waiting.leave(guests[1] as Guest);
    waiting.leave(guests[1] as Guest);
    waiting.leave(guest('a', 'a1'));
    assert.equal(waiting.size, 3);
    assert.deepEqual(serveAll(waiting), ['a1', 'b1', 'a3']);
  });

  it('tells who has waited since before a time, the oldest first', () => {
    const waiting = line(9, guest('a', 'a1', 10), guest('b', 'b1', 20), guest('a', 'a2', 20), guest('b', 'b2', 30));
    assert.deepEqual(
      waiting.arrivedBefore(30).map(({ name }) => name),
      ['a1', 'b1', 'a2'],
    );
    assert.deepEqual(waiting.arrivedBefore(10), []);
  });

  describe('that is too long', () => {
    const cases = [
      { what: 'turns nobody away up to its limit', limit: 2, come: ['a1', 'b1'], excess: undefined },
      { what: 'turns away the newcomer of the only line', limit: 2, come: ['a1', 'a2', 'a3'], excess: 'a3' },
      { what: 'turns away the newest of the longest line', limit: 3, come: ['a1', 'a2', 'a3', 'b1'], excess: 'a3' },
      {
        what: 'turns away the newcomer when its line becomes a longest one',
        limit: 3,
        come: ['a1', 'a2', 'b1', 'b2'],
        excess: 'b2',
      },
      { what: 'turns away the newest when all lines are as long', limit: 2, come: ['a1', 'b1', 'c1'], excess: 'c1' },
      { what: 'of no length turns everybody away', limit: 0, come: ['a1'], excess: 'a1' },
    ];
    for (const { what, limit, come, excess } of cases) {
      it(what, () => {
        const waiting = line(limit, ...come.map((name) => guest(name[0] as string, name)));
        assert.equal(waiting.excess()?.name, excess);
      });
    }

    it('turns nobody of another script away for a flood', () => {
      const waiting = line(5, guest('quiet'));
      const turnedAway: string[] = [];
      for (let n = 0; n < 50; n++) {
        waiting.join(guest('flood', `flood${n}`));
        for (let extra = waiting.excess(); extra !== undefined; extra = waiting.excess()) {
          waiting.leave(extra);
          turnedAway.push(extra.script);
        }
      }
      assert.equal(turnedAway.length, 46);
      assert.ok(turnedAway.every((script) => script === 'flood'));
    });
  });

  it('serves in order, by turns and within its bound, whatever happens', () => {
    const move = fc.oneof(
      { arbitrary: fc.record({ join: fc.constantFrom('a', 'b', 'c', 'd') }), weight: 4 },
      { arbitrary: fc.record({ leave: fc.nat(100) }), weight: 1 },
      { arbitrary: fc.record({ serve: fc.constant(true) }), weight: 3 },
    );
    fc.assert(
      fc.property(fc.nat(8), fc.array(move, { maxLength: 100, size: 'max' }), (limit, moves) => {
        const waiting = new WaitQueue<Guest>(limit);
        let model: Guest[] = [];
        /** Served since each script that waits had its last turn. */
        const passedOver = new Map<string, Map<string, number>>();
        for (const [n, each] of moves.entries()) {
          if ('join' in each) {
            const newcomer = guest(each.join, `${each.join}${n}`, n);
            if (!model.some(({ script }) => script === each.join)) passedOver.set(each.join, new Map());
            waiting.join(newcomer);
            model.push(newcomer);
            const extra = waiting.excess();
            assert.equal(extra !== undefined, model.length > limit);
            if (extra !== undefined) {
              const lengthOf = (script: string): number => model.filter((other) => other.script === script).length;
              const longest = Math.max(...model.map(({ script }) => lengthOf(script)));
              const candidates = model.filter(({ script }) => lengthOf(script) === longest);
              assert.equal(extra, candidates.at(-1));
              waiting.leave(extra);
              model = model.filter((other) => other !== extra);
            }
          } else if ('leave' in each) {
            const leaver = model[each.leave % Math.max(1, model.length)];
            if (leaver !== undefined) waiting.leave(leaver);
            model = model.filter((other) => other !== leaver);
          } else {
            const served = serve(waiting);
            assert.equal(
              served,
              model.find(({ script }) => script === served?.script),
            );
            assert.equal(served === undefined, model.length === 0);
            model = model.filter((other) => other !== served);
            if (served === undefined) continue;
            for (const [script, others] of passedOver) {
              if (script === served.script || !model.some((other) => other.script === script)) others.clear();
              else others.set(served.script, (others.get(served.script) ?? 0) + 1);
              for (const count of others.values()) assert.ok(count <= 1, `${script} was passed over for another twice`);
            }
          }
          assert.equal(waiting.size, model.length);
          assert.deepEqual(waiting.arrivedBefore(Number.POSITIVE_INFINITY), model);
        }
      }),
      { numRuns: 500 },
    );
  });
});
