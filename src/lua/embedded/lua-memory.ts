/**
 * Where the embedded Lua 5.1 keeps its values: for code that walks tables in the machine's memory, which costs a fraction
 * of asking Lua for each value. The file of the engine is pinned (`checkEmbeddedModule`), so the layout is too; the tests
 * of json and templates walk every kind of value.
 *
 * A `TValue` takes 16 bytes: the value in 8, then its type. A hash node is two of these, value and key, and the last word
 * of the key is the next node's address.
 */

import type { Machine } from './machine.js';

export const VALUE_BYTES = 16;
export const NODE_BYTES = 32;
/** Offsets in words of 4 bytes. */
export const TYPE_WORD = 2;
const KEY_WORD = 4;
const KEY_TYPE_WORD = 6;
/** A string object: its length, and after its head the bytes. */
const STRING_LENGTH_WORD = 3;
const STRING_HEAD_BYTES = 16;
/** A table object. */
const NODE_COUNT_BYTE = 7;
const METATABLE_WORD = 2;
const ARRAY_WORD = 3;
const NODES_WORD = 4;
const ARRAY_SIZE_WORD = 7;
/** The head of a userdata object, whose address as a pointer is that of what follows. */
const USERDATA_HEAD_BYTES = 24;

/** Where `lua_State` has the address of `global_State`, and that has what concerns the collector. */
const GLOBAL_STATE_AT = 16;
const CURRENT_WHITE_AT = 20;
const WHITE_BITS = 3;
const THRESHOLD_AT = 64;
/** The threshold of a collector that a script has stopped (lgc.h, `MAX_LUMEM`). */
const STOPPED_THRESHOLD = 0xffff_fffd;

/** The colour that objects have between two cycles of the collector, which changes with each cycle. */
export function collectorColour(words: DataView, L: number): number {
  return words.getUint8(words.getUint32(L + GLOBAL_STATE_AT, true) + CURRENT_WHITE_AT) & WHITE_BITS;
}

/** Whether the script has stopped the collector (`collectgarbage("stop")`). */
export function isCollectorStopped({ words, L }: Machine): boolean {
  return words.getUint32(words.getUint32(L + GLOBAL_STATE_AT, true) + THRESHOLD_AT, true) === STOPPED_THRESHOLD;
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
    return this.words[(value >>> 2) + TYPE_WORD] as number;
  }

  /** The object at whose address a value points. */
  objectAt(value: number): number {
    return this.words[value >>> 2] as number;
  }

  numberAt(value: number): number {
    return this.doubles[value >>> 3] as number;
  }

  stringStart(object: number): number {
    return object + STRING_HEAD_BYTES;
  }

  stringLength(object: number): number {
    return this.words[(object >>> 2) + STRING_LENGTH_WORD] as number;
  }

  arrayStart(table: number): number {
    return this.words[(table >>> 2) + ARRAY_WORD] as number;
  }

  arraySize(table: number): number {
    return this.words[(table >>> 2) + ARRAY_SIZE_WORD] as number;
  }

  nodesStart(table: number): number {
    return this.words[(table >>> 2) + NODES_WORD] as number;
  }

  nodeCount(table: number): number {
    return 1 << (this.bytes[table + NODE_COUNT_BYTE] as number);
  }

  /** 0 when there is none. */
  metatable(table: number): number {
    return this.words[(table >>> 2) + METATABLE_WORD] as number;
  }

  /** The address of a node's key, as of a value. */
  keyOf(node: number): number {
    return node + KEY_WORD * 4;
  }

  keyType(node: number): number {
    return this.words[(node >>> 2) + KEY_TYPE_WORD] as number;
  }
}

/** The object of a userdata, from what `lua_topointer` gives. */
export function userdataObject(pointer: number): number {
  return pointer - USERDATA_HEAD_BYTES;
}
