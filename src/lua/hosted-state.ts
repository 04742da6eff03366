/** What the host functions are given: the state that calls, with its request and what it may wait for, and their arguments. */

import type { LuaString } from './crossing.js';
import type { ScriptLog } from './script-log.js';
import type { ByteString, Isolation, LuaValue, RequestHost, StateOptions, WaitHost } from './state.js';

/** The state that calls, as these functions know it. */
export interface HostedState {
  readonly options: StateOptions;
  readonly log: ScriptLog;
  readonly startMs: number;
  /** The script that is being loaded wants its values to live so long. @throws LuafcgidError where that cannot be */
  isolate(isolation: Isolation): void;
  /** The request that is being answered. */
  readonly request: RequestHost | undefined;
  /** Whether a stop is under way: errors are only raised to leave what runs. */
  readonly isStopping: boolean;
  /** What the engine hands to the Lua function it calls. */
  readonly callArgument: LuaValue;
  /** The precompiled chunk of a part that is loaded when it is needed. */
  deferredPart(name: ByteString): Uint8Array | undefined;
  /** Lines of the script that the state was made from, numbered from 1. Undefined for other chunks, and asked again. */
  sourceLines(chunkName: ByteString, first: number, last: number): ByteString | undefined;
  /** An error text, its Lua stack, and the local variables of that (`frames.lua`). */
  noteError(message: ByteString, traceback: ByteString, frames: ByteString): void;
  /** `os.exit` in the calling thread; without a code the exit reaches another thread. */
  beginExit(code: number | undefined): void;
}

/** The arguments of a call, counted from 1. What is missing or of another type comes as zero or empty. */
export interface HostArguments {
  readonly count: number;
  number(at: number): number;
  isTrue(at: number): boolean;
  /** The string at `at`, to be read through `crossing.ts`. Valid until the next one is asked for. */
  string(at: number): LuaString;
}

/** What a call gives back. Bytes become a Lua string. */
export type HostResult = LuaValue | Uint8Array;

/** In Lua these return true and the result, or nil and the message of what was thrown. */
export type HostFunction = (state: HostedState, args: HostArguments) => HostResult;

/** The request that is being answered. */
export function running({ request }: HostedState): RequestHost {
  if (request === undefined) throw new Error('no request is running');
  return request;
}

export function waits({ options }: HostedState): WaitHost {
  if (options.waits === undefined) throw new Error('nothing can be waited for here');
  return options.waits;
}
