/**
 * Where the embedded Lua 5.1 keeps its values: for code that walks tables in the machine's memory, which costs a fraction
 * of asking Lua for each value. The file of the engine is pinned (`checkEmbeddedModule`), so the layout is too; the tests
 * of json and templates walk every kind of value.
 *
 * A `TValue` takes 16 bytes: the value in 8, then its type. A hash node is two of these, value and key, and the last word
 * of the key is the next node's address.
 */

import type { Machine } from './machine.js';

export const valueBytes = 16;
export const nodeBytes = 32;
/** Offsets in words of 4 bytes. */
export const typeWord = 2;
const keyWord = 4;
const keyTypeWord = 6;
/** A string object: its length, and after its head the bytes. */
const stringLengthWord = 3;
const stringHeadBytes = 16;
/** A table object. */
const nodeCountByte = 7;
const metatableWord = 2;
const arrayWord = 3;
const nodesWord = 4;
const arraySizeWord = 7;
/** The head of a userdata object, whose address as a pointer is that of what follows. */
const userdataHeadBytes = 24;

/** Where `lua_State` has the address of `global_State`, and that has what concerns the collector. */
const globalStateAt = 16;
const currentWhiteAt = 20;
const whiteBits = 3;
const thresholdAt = 64;
/** The threshold of a collector that a script has stopped (lgc.h, `MAX_LUMEM`). */
const stoppedThreshold = 0xffff_fffd;

/** The colour that objects have between two cycles of the collector, which changes with each cycle. */
export function collectorColour(words: DataView, L: number): number {
  return words.getUint8(words.getUint32(L + globalStateAt, true) + currentWhiteAt) & whiteBits;
}

/** Whether the script has stopped the collector (`collectgarbage("stop")`). */
export function isCollectorStopped({ words, L }: Machine): boolean {
  return words.getUint32(words.getUint32(L + globalStateAt, true) + thresholdAt, true) === stoppedThreshold;
}

/** Types as values have them. */
export const tag = { nil: 0, boolean: 1, number: 3, string: 4, table: 5, userdata: 7 } as const;

/** Views of a machine's memory, valid until Lua runs on. */
export class LuaMemory {
  bytes!: Uint8Array;
  words!: Int32Array;
  doubles!: Float64Array;
  #buffer: ArrayBufferLike | undefined;

  use({ memory }: Machine): this {
    if (memory.buffer !== this.#buffer) {
      this.#buffer = memory.buffer;
      this.bytes = new Uint8Array(memory.buffer);
      this.words = new Int32Array(memory.buffer);
      this.doubles = new Float64Array(memory.buffer);
    }
    return this;
  }

  /** The views keep a memory alive: forget it when its state may be closed. */
  release(): void {
    this.#buffer = undefined;
    const none = new ArrayBuffer(0);
    this.bytes = new Uint8Array(none);
    this.words = new Int32Array(none);
    this.doubles = new Float64Array(none);
  }

  /** The type of the value at an address. */
  typeAt(value: number): number {
    return this.words[(value >>> 2) + typeWord] as number;
  }

  /** The object at whose address a value points. */
  objectAt(value: number): number {
    return this.words[value >>> 2] as number;
  }

  numberAt(value: number): number {
    return this.doubles[value >>> 3] as number;
  }

  stringStart(object: number): number {
    return object + stringHeadBytes;
  }

  stringLength(object: number): number {
    return this.words[(object >>> 2) + stringLengthWord] as number;
  }

  arrayStart(table: number): number {
    return this.words[(table >>> 2) + arrayWord] as number;
  }

  arraySize(table: number): number {
    return this.words[(table >>> 2) + arraySizeWord] as number;
  }

  nodesStart(table: number): number {
    return this.words[(table >>> 2) + nodesWord] as number;
  }

  nodeCount(table: number): number {
    return 1 << (this.bytes[table + nodeCountByte] as number);
  }

  /** 0 when there is none. */
  metatable(table: number): number {
    return this.words[(table >>> 2) + metatableWord] as number;
  }

  /** The address of a node's key, as of a value. */
  keyOf(node: number): number {
    return node + keyWord * 4;
  }

  keyType(node: number): number {
    return this.words[(node >>> 2) + keyTypeWord] as number;
  }
}

/** The object of a userdata, from what `lua_topointer` gives. */
export function userdataObject(pointer: number): number {
  return pointer - userdataHeadBytes;
}
