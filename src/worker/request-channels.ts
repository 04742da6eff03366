/** What a request needs of its worker: where its body comes from, where its answer goes, and its settings. */

import type { ResponseDefaults } from '../cgi/response.js';
import type { LogLevel } from '../lua/state.js';
import type { OutputBuffer } from './output-buffer.js';

export interface RequestSettings extends ResponseDefaults {
  readonly buffering: boolean;
  readonly outputBufferBytes: number;
  readonly sendBufferBytes: number;
  readonly watchdogMs: number;
  /** The most that a script may set; 0: no limit. */
  readonly watchdogMaxMs: number;
}

/** Where its body comes from. */
export interface RequestInlet {
  /** Whether nobody has to wait for the client: all of it has come. */
  readonly isWhole: boolean;
  /** Whether `readBody` gives something, or the end, without waiting. */
  readonly isReady: boolean;
  /** Calls once when it does; the request is suspended meanwhile. */
  awaitMore(call: () => void): void;
  /** The next piece, at most `maxBytes` long and valid until the next call; null at the end. */
  readBody(maxBytes: number): Uint8Array | null;
  /** The same of the file that a Filter is given. */
  readData(maxBytes: number): Uint8Array | null;
  /** That file; left out where there is none. */
  readonly file?: Pick<RequestInlet, 'isReady' | 'awaitMore'>;
  /** The request is suspended: gives what is left of its body, kept from now on whatever else the worker reads. */
  outlive(): RequestInlet;
}

/** Where that goes which is said about it. */
export interface RequestOutlet {
  output(requestId: number, bytes: Uint8Array): void;
  /** The same as long as that need not wait for the client to read; gives how many bytes were sent. Left out: all are. */
  tryOutput?(requestId: number, bytes: Uint8Array): number;
  /** Whether `output` would have to wait for the client to read. Left out: nobody knows. */
  isHeld?(requestId: number): boolean;
  finish(requestId: number, appStatus: number): void;
  log(requestId: number, level: LogLevel, text: string, isOfScript?: boolean): void;
  limit(type: number, requestId: number, value: number): void;
  /** The request waits for a result. Nothing of it may stay in buffers of others. @param waitsFor a `WaitsFor` */
  suspended(requestId: number, waitsFor: number): void;
  /** It goes on. @throws Abandoned when nobody listens to this thread any more */
  resumed(requestId: number): void;
  /** @param startedMs when the request began, as `performance.now()` counts; later by as much as it has waited */
  end(requestId: number, flags: number, appStatus: number, lastOutput: Uint8Array, startedMs: number): void;
}

/** Where requests run: what the names of requests begin with, and the number of the worker. */
export interface RequestOrigin {
  readonly runName: string;
  readonly worker: number;
}

/** What a request uses of its worker. */
export interface RequestChannels {
  readonly origin: RequestOrigin;
  readonly stateId: number;
  readonly inlet: RequestInlet;
  readonly outlet: RequestOutlet;
  readonly buffer: OutputBuffer;
  readonly startedMs: number;
}

/** What the web server wants of a request. */
export interface RequestKind {
  /** A `Role` of FastCGI. */
  readonly role: number;
  /** The answer goes without its body. */
  readonly isHead: boolean;
}
