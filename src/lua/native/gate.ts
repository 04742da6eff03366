/**
 * The one C function through which native states call their host. It is a JavaScript function, so no Lua error may be
 * raised below it: it reads its arguments with calls that allocate nothing, catches whatever is thrown, and gives text
 * back as a chunk for Lua to call, or in memory that LuaJIT reads (see native-host.lua).
 */

import type { Ffi } from '../../base/ffi.js';
import type { LuaString } from '../crossing.js';
import type { ByteString } from '../state.js';
import { type StringChunk, valueChunk } from './chunks.js';
import { type CallingState, functionsByNumber, type NativeArguments, type NativeResult } from './functions.js';
import type { NativeLibrary } from './library.js';
import { GrowingMemory, NativeMemory } from './memory.js';

const STRING_TYPE = 4;
/** Up to this many bytes LuaJIT reads text from memory. */
const BUFFER_BYTES = 256 << 10;
/** Room for what most calls read or give. */
const USUAL_BYTES = 64 << 10;

/** The status of a result that is a function (native-host.lua). */
const FUNCTION_STATUS = 5;

/** Where `lua_State` of Lua 5.1 has `nCcalls`, followed by `baseCcalls`: `lua_yield` compares the two (ldo.c). */
const NESTED_CALLS_AT = 96;

/** What one call works with; calls nest when a host function lets another state run. */
class CallFrame implements NativeArguments {
  readonly #library: NativeLibrary;
  readonly #length: NativeMemory;
  readonly #read: GrowingMemory;
  readonly chunk: GrowingMemory;
  L = 0;
  #stringStart = 0;
  readonly #string = { sizeBytes: 0, bytes: (start: number, end: number): Uint8Array => this.#copy(start, end) };

  constructor(ffi: Ffi, library: NativeLibrary) {
    this.#library = library;
    this.#length = new NativeMemory(ffi, 8);
    this.#read = new GrowingMemory(ffi, USUAL_BYTES);
    this.chunk = new GrowingMemory(ffi, USUAL_BYTES);
  }

  /** The first argument of the C function is the number of the host function. */
  get count(): number {
    return this.#library.getTop(this.L) - 1;
  }

  number(at: number): number {
    return this.#library.toNumber(this.L, at + 1);
  }

  isTrue(at: number): boolean {
    return this.#library.toBoolean(this.L, at + 1) !== 0;
  }

  thread(at: number): number {
    return this.#library.toThread(this.L, at + 1);
  }

  mayYield(): boolean {
    this.#library.copy(this.#length.address, this.L + NESTED_CALLS_AT, 4);
    return this.#length.bytes.readUInt16LE(0) <= this.#length.bytes.readUInt16LE(2);
  }

  string(at: number): LuaString {
    return this.stringAt(at + 1);
  }

  /** The string at a stack index, valid until the next one is asked for; empty for other values. */
  stringAt(index: number): LuaString {
    const { L } = this;
    const isString = this.#library.type(L, index) === STRING_TYPE;
    this.#stringStart = isString ? this.#library.toString(L, index, this.#length.address) : 0;
    const { bytes } = this.#length;
    this.#string.sizeBytes = isString ? bytes.readUInt32LE(0) + bytes.readUInt32LE(4) * 2 ** 32 : 0;
    return this.#string;
  }

  /** A copy of a part of that string: what it may be is bounded by who asks, since the room for it stays. */
  #copy(start: number, end: number): Buffer {
    const size = end - start;
    this.#read.reserve(size);
    if (size > 0) this.#library.copy(this.#read.address, this.#stringStart + start, size);
    return this.#read.bytes.subarray(0, size);
  }
}

export class HostGate {
  readonly #ffi: Ffi;
  readonly #library: NativeLibrary;
  readonly #running: { readonly state: CallingState | undefined };
  /** By the number of calls that are open. */
  readonly #frames: CallFrame[] = [];
  readonly #visits: CallFrame[] = [];
  #depth = 0;
  /** Where LuaJIT reads text from; part of every state, so it is never replaced. */
  readonly buffer: NativeMemory | undefined;
  /** How texts are given to the other versions; LuaJIT gets long ones as source. */
  stringChunk: StringChunk | undefined;
  /** While a state is made: called in the place of a host function. */
  keepFunction: ((L: number) => number) | undefined;
  /** The address of an empty chunk name. */
  readonly #chunkName: NativeMemory;

  constructor(ffi: Ffi, library: NativeLibrary, running: { readonly state: CallingState | undefined }) {
    this.#ffi = ffi;
    this.#library = library;
    this.#running = running;
    this.buffer = library.kind.isJit ? new NativeMemory(ffi, BUFFER_BYTES) : undefined;
    this.#chunkName = new NativeMemory(ffi, 16);
    this.#chunkName.bytes.write('=[luafcgid]\0', 'latin1');
  }

  /** The C function. Gives the number of its results. */
  readonly call = (L: number): number => {
    if (this.keepFunction !== undefined) return this.keepFunction(L);
    const { state } = this.#running;
    // A finalizer that runs while its state is closed has nobody to talk to.
    if (state === undefined) return 0;
    const frame = this.#enter(L);
    try {
      state.callingThread = L;
      const run = functionsByNumber[this.#library.toNumber(L, 1) - 1];
      if (run === undefined) return 0;
      return this.#give(frame, run(state, frame), 1);
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      state.noteHostError(cause);
      return this.#give(frame, Buffer.from(cause.message), 3);
    } finally {
      this.#depth -= 1;
    }
  };

  /** What the next call works with. */
  #enter(L: number): CallFrame {
    this.#depth += 1;
    const frame = this.#frame(this.#frames);
    frame.L = L;
    return frame;
  }

  /** That of the calls that are open now, made when it is first needed. */
  #frame(frames: CallFrame[]): CallFrame {
    const frame = frames[this.#depth] ?? new CallFrame(this.#ffi, this.#library);
    frames[this.#depth] = frame;
    return frame;
  }

  /** The string on top of the stack of a state that is visited; valid until the next one is asked for. */
  topString(L: number): LuaString | undefined {
    if (this.#library.type(L, -1) !== STRING_TYPE) return undefined;
    // Not that of a call: one may be open in which this state is visited.
    const frame = this.#frame(this.#visits);
    frame.L = L;
    return frame.stringAt(-1);
  }

  /** The same, its bytes: for strings that are known to be short. */
  readTop(L: number): Uint8Array | undefined {
    const string = this.topString(L);
    return string?.bytes(0, string.sizeBytes);
  }

  /** Pushes a status and a value. Gives the number of values. */
  #give(frame: CallFrame, result: NativeResult, status: number): number {
    const { L } = frame;
    const library = this.#library;
    if (result instanceof Uint8Array || typeof result === 'string') return this.#giveText(frame, result, status);
    if (typeof result === 'function') {
      const length = result(frame.chunk);
      if (length !== undefined) return this.#giveLoaded(frame, FUNCTION_STATUS, length);
      library.pushBoolean(L, 1);
      return 1;
    }
    if (typeof result === 'object') {
      return this.#giveLoaded(frame, status, this.writeSource(frame.chunk, valueChunk(result)));
    }
    library.pushBoolean(L, 1);
    if (result === undefined) return 1;
    if (typeof result === 'number') library.pushNumber(L, result);
    else library.pushBoolean(L, result ? 1 : 0);
    return 2;
  }

  #giveText(frame: CallFrame, text: Uint8Array | ByteString, status: number): number {
    const { buffer } = this;
    const library = this.#library;
    const { L } = frame;
    if (buffer !== undefined && text.length <= BUFFER_BYTES) {
      if (typeof text === 'string') buffer.bytes.write(text, 'latin1');
      else buffer.bytes.set(text);
      library.pushNumber(L, status + 1);
      library.pushNumber(L, text.length);
      return 2;
    }
    return this.#giveLoaded(frame, status, this.writeText(frame.chunk, text));
  }

  /** Writes a chunk that gives the text; its length. */
  writeText(to: GrowingMemory, text: Uint8Array | ByteString): number {
    const { stringChunk } = this;
    if (stringChunk === undefined) {
      return this.writeSource(to, valueChunk(typeof text === 'string' ? text : Buffer.from(text).toString('latin1')));
    }
    return stringChunk.write(to, text.length, (bytes, at) => {
      if (typeof text === 'string') bytes.write(text, at, 'latin1');
      else bytes.set(text, at);
    });
  }

  writeSource(to: GrowingMemory, source: ByteString): number {
    to.reserve(source.length);
    return to.bytes.write(source, 'latin1');
  }

  /** Pushes the status and the function that the chunk is. */
  #giveLoaded({ L, chunk }: CallFrame, status: number, length: number): number {
    const library = this.#library;
    library.pushNumber(L, status);
    if (library.loadBuffer(L, chunk.address, length, this.#chunkName.address) === 0) return 2;
    // What can go wrong with a chunk that was made here is that there is no memory for it.
    library.pushBoolean(L, 0);
    return 1;
  }
}
