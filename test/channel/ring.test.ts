import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { createRing, MIN_RING_BYTES, RingReader, RingWriter } from '../../src/channel/ring.js';
import { guarded } from '../support/cleanup.js';
import { faultIn, payloadOf, wordsOf } from './support/frames.js';
import type { RingThreadData } from './support/ring-thread.js';

const NOTHING = new Uint8Array(0);

/** Both ends of a ring, whose positions stand at `start` as if that many bytes had gone through. */
function ends(capacityBytes: number, start = 0): { reader: RingReader; writer: RingWriter; shared: SharedArrayBuffer } {
  const shared = createRing(capacityBytes);
  new Int32Array(shared, 0, 2).fill(start | 0);
  return { reader: new RingReader(shared), writer: new RingWriter(shared), shared };
}

function text(value: string): Uint8Array {
  return Buffer.from(value, 'latin1');
}

describe('a ring', () => {
  it('has a power of two of bytes, and enough for a frame', () => {
    for (const size of [0, 64, 127, 129, 192, 1000, -128]) assert.throws(() => createRing(size), RangeError);
    assert.equal(new RingWriter(createRing(MIN_RING_BYTES)).maxPayloadBytes, MIN_RING_BYTES / 2 - 16);
  });

  it('brings frames as they were written, in order', () => {
    const { reader, writer } = ends(128);
    assert.equal(reader.peek(), undefined);
    assert.ok(writer.tryWrite(0x1234, 0x7fffffff, -1, text('one')));
    assert.ok(writer.tryWrite(1, 2, 3, NOTHING));
    const first = reader.peek();
    assert.deepEqual(
      [first?.type, first?.id, first?.argument, Buffer.from(first?.payload ?? []).toString()],
      [0x1234, 0x7fffffff, -1, 'one'],
    );
    assert.equal(Buffer.from(reader.peek()?.payload ?? []).toString(), 'one');
    reader.release();
    assert.deepEqual([reader.peek()?.type, reader.peek()?.payload.length], [1, 0]);
    reader.release();
    assert.equal(reader.peek(), undefined);
  });

  it('keeps a reader awake that is rung for nothing while it lies down, and wakes it for the next frame', () => {
    const shared = createRing(128);
    const writer = new RingWriter(shared, { wait: () => assert.fail('the writer sleeps'), wake: () => (wakes += 1) });
    let wakes = 0;
    let lies = 0;
    const reader = new RingReader(shared, {
      wake: () => assert.fail('the reader wakes somebody'),
      // As the kernel does it: who finds another value does not sleep.
      wait(cell, expected) {
        lies += 1;
        if (lies === 1) writer.wakeReader();
        if (cell[0] !== expected) return;
        const before = wakes;
        writer.tryWrite(1, 2, 3, NOTHING);
        writer.wakeReader();
        assert.equal(wakes, before + 1, 'the reader would sleep on');
      },
    });
    reader.waitForFrame();
    assert.equal(reader.peek()?.id, 2);
    assert.equal(lies, 2);
  });

  it('that is full takes nothing, and takes it when there is room', () => {
    const { reader, writer } = ends(128);
    for (let n = 0; n < 8; n++) assert.ok(writer.tryWrite(n, 0, 0, NOTHING));
    assert.equal(writer.tryWrite(8, 0, 0, NOTHING), false);
    assert.equal(reader.peek()?.type, 0);
    assert.equal(writer.tryWrite(8, 0, 0, NOTHING), false);
    reader.release();
    assert.ok(writer.tryWrite(8, 0, 0, NOTHING));
    for (let n = 1; n <= 8; n++) {
      assert.equal(reader.peek()?.type, n);
      reader.release();
    }
    assert.equal(reader.peek(), undefined);
  });

  it('that is empty takes a frame of the largest payload, wherever its positions stand', () => {
    for (let start = 0; start < 256; start += 8) {
      const { reader, writer } = ends(128, start);
      const payload = Uint8Array.from({ length: writer.maxPayloadBytes }, (_, n) => n);
      assert.ok(writer.tryWrite(1, 2, 3, payload), `at ${start}`);
      assert.deepEqual(Uint8Array.from(reader.peek()?.payload ?? []), payload);
      reader.release();
      assert.equal(reader.peek(), undefined);
    }
  });

  it('goes on where others have begun', () => {
    const { reader, writer, shared } = ends(128);
    writer.tryWrite(1, 0, 0, text('first'));
    writer.tryWrite(2, 0, 0, text('second'));
    reader.peek();
    reader.release();
    const [later, laterWriter] = [new RingReader(shared), new RingWriter(shared)];
    assert.ok(laterWriter.tryWrite(3, 0, 0, text('third')));
    assert.equal(later.peek()?.type, 2);
    later.release();
    assert.equal(later.peek()?.type, 3);
  });

  it('behaves as a queue of bounded size does, also where its positions wrap around 2^31 and 2^32', () => {
    const move = fc.oneof(fc.record({ write: fc.nat(100) }), fc.record({ write: fc.nat(20) }), fc.constant('read'));
    fc.assert(
      fc.property(
        fc.constantFrom(128, 256, 1024),
        fc
          .constantFrom(0, 2 ** 31, 2 ** 32)
          .chain((edge) => fc.integer({ min: -130, max: 8 }).map((n) => edge + 8 * n)),
        fc.array(move, { maxLength: 300, size: 'max' }),
        (capacity, start, moves) => {
          const { reader, writer } = ends(capacity, start);
          const model: { type: number; payload: Uint8Array }[] = [];
          const frameBytes = (payload: Uint8Array): number => 16 + Math.ceil(payload.length / 8) * 8;
          for (const [n, each] of moves.entries()) {
            if (each === 'read') {
              const wanted = model.shift();
              const frame = reader.peek();
              assert.equal(frame?.type, wanted?.type);
              if (frame === undefined) continue;
              assert.deepEqual(Uint8Array.from(frame.payload), wanted?.payload);
              assert.deepEqual([frame.id, frame.argument], [frame.type, ~frame.type]);
              reader.release();
            } else {
              const size = Math.min(each.write, writer.maxPayloadBytes);
              const payload = Uint8Array.from({ length: size }, (_, at) => (at * 7 + n) & 255);
              const used = model.reduce((sum, other) => sum + frameBytes(other.payload), 0);
              const taken = writer.tryWrite(n, n, ~n, payload);
              if (taken) model.push({ type: n, payload });
              // It never holds more than it has, and an empty one takes any frame.
              assert.ok(!taken || used + frameBytes(payload) <= capacity);
              assert.ok(taken || used > 0);
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('who waits at a ring', () => {
  it('is told of room that was made before it asked', () => {
    const { reader, writer } = ends(128);
    for (let n = 0; n < 8; n++) writer.tryWrite(n, 0, 0, NOTHING);
    assert.equal(writer.tryWrite(8, 0, 0, NOTHING), false);
    reader.peek();
    assert.equal(reader.release(), false);
    assert.equal(writer.askForRoom(), false);
    // Its wish is withdrawn: the next release tells nobody.
    reader.peek();
    assert.equal(reader.release(), false);
    assert.ok(writer.tryWrite(8, 0, 0, NOTHING));
  });

  it('is told once of room that is made after it asked', () => {
    const { reader, writer } = ends(128);
    for (let n = 0; n < 8; n++) writer.tryWrite(n, 0, 0, NOTHING);
    assert.equal(writer.tryWrite(8, 0, 0, NOTHING), false);
    assert.equal(writer.askForRoom(), true);
    reader.peek();
    assert.equal(reader.release(), true);
    reader.peek();
    assert.equal(reader.release(), false);
    assert.ok(writer.tryWrite(8, 0, 0, NOTHING));
  });

  it('does not wait for room or for a frame that is there already', () => {
    const { reader, writer } = ends(128);
    for (let n = 0; n < 8; n++) writer.tryWrite(n, 0, 0, NOTHING);
    writer.tryWrite(8, 0, 0, NOTHING);
    reader.peek();
    reader.release();
    writer.waitForRoom();
    reader.waitForFrame();
    assert.equal(reader.peek()?.type, 1);
  });
});

describe('a writer that blocks', () => {
  it('alone takes back that it does: a reader that is late must not take the wish of its next sleep', (t) => {
    const { reader, writer, shared } = ends(256, 0);
    while (writer.tryWrite(1, 1, 0, new Uint8Array(40)));
    const control = new Int32Array(shared, 0, 16);
    let asleep: number[] = [];
    let afterRelease: number[] = [];
    // What happens while the writer lies in its wait.
    t.mock.method(Atomics, 'wait', () => {
      reader.peek();
      asleep = [...control];
      reader.release();
      afterRelease = [...control];
      return 'ok';
    });
    writer.waitForRoom();
    const changed = asleep.flatMap((word, place) => (word === afterRelease[place] ? [] : [place]));
    assert.equal(changed.length, 1, 'only the position of the reader changes');
    assert.notDeepEqual([...control], asleep);
    t.mock.restoreAll();
    assert.equal(writer.tryWrite(1, 1, 0, new Uint8Array(40)), true);
  });
});

describe('two threads', () => {
  const FRAMES = 100_000;
  /** Generous: it only ends a test that would hang. */
  const GUARD_MS = 240_000;

  function startThread(t: TestContext, data: RingThreadData): Worker {
    const thread = new Worker(new URL('./support/ring-thread.js', import.meta.url), { workerData: data });
    t.after(async () => {
      await thread.terminate();
    });
    return thread;
  }

  it('pass frames from a writer that blocks to a reader that is rung for', async (t) => {
    const { reader, writer, shared } = ends(1024, 2 ** 32 - 50_000 * 8);
    const thread = startThread(t, { role: 'writer', ring: shared, frames: FRAMES });
    let taken = 0;
    const fault = await guarded(
      new Promise<string | undefined>((resolve) => {
        thread.on('error', (error) => resolve(error.message));
        thread.on('message', () => {
          for (let frame = reader.peek(); frame !== undefined; frame = reader.peek()) {
            const wrong = faultIn(frame, taken, writer.maxPayloadBytes);
            if (wrong !== undefined) return resolve(wrong);
            reader.release();
            taken += 1;
          }
          if (taken === FRAMES) resolve(undefined);
        });
      }),
      GUARD_MS,
      () => `${taken} of ${FRAMES} frames came`,
    );
    assert.equal(fault, undefined);
  });

  it('pass frames from a writer that is rung for to a reader that blocks', async (t) => {
    const { writer, shared } = ends(1024, 2 ** 31 - 50_000 * 8);
    const thread = startThread(t, { role: 'reader', ring: shared, frames: FRAMES });
    let written = 0;
    const write = (): void => {
      while (written < FRAMES) {
        const { type, id, argument } = wordsOf(written);
        if (writer.tryWrite(type, id, argument, payloadOf(written, writer.maxPayloadBytes))) {
          writer.wakeReader();
          written += 1;
        } else if (writer.askForRoom()) return;
      }
    };
    const done = new Promise<string | undefined>((resolve) => {
      thread.on('error', (error) => resolve(error.message));
      thread.on('message', (message) => {
        if (message === 'done') resolve(undefined);
        else write();
      });
    });
    await once(thread, 'online');
    write();
    assert.equal(await guarded(done, GUARD_MS, () => `${written} of ${FRAMES} frames were written`), undefined);
  });
});
