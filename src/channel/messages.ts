/**
 * The messages between the front and a worker, and how a message lies in a ring frame.
 *
 * A frame's `id` is the request's number (0 where a message belongs to none), its `argument` depends on the type. A
 * message longer than a frame goes as several frames of the same type and id, all but the last marked `MORE`; types
 * that carry a stream (Body, Output) need no mark, each frame is a message of its own.
 */

/** Set in a frame's type when the message goes on in the next frame. */
export const MORE = 0x100;

/** Set in `START`: the state does not exist yet, create it and load the script first. */
export const START_CREATE = 0x200;
/** Set in `START`: the request has no body, neither `BODY` nor `BODY_END` follows. */
export const START_NO_BODY = 0x400;
/** Set in `START`: close the state after this request, it has served its `maxcount`. */
export const START_RETIRE = 0x800;
/** Set in `START`: the answer goes without its body (a HEAD request). */
export const START_HEAD = 0x1000;
/**
 * Set in `START`: the front may take it back. It has to be claimed before it runs (`OfferSlots`); a worker that fails to
 * claim it passes over it.
 */
export const START_OFFER = 0x2000;
/** Set in `START`: all of the body is with the front already, and follows at once. */
export const START_WHOLE_BODY = 0x10000;
/** Where a `START` has the FastCGI role of its request: two bits of its type word, 1 to 3. */
const START_ROLE_SHIFT = 14;
/** Set in `LOG`: the text is a script's own. */
export const LOG_OF_SCRIPT = 0x200;
/** Set in `END`: the worker has closed the request's state (it failed to load, broke, or retired). */
export const END_STATE_GONE = 0x200;

const TYPE_MASK = 0xff;

/** Front to worker. */
export const ToWorker = {
  /** Run a request. argument: state. payload: see `StartMessage`. */
  START: 1,
  /** A piece of the running request's body. */
  BODY: 2,
  /** The body is complete (argument 0) or will never be (argument: a `BodyFault`). */
  BODY_END: 3,
  /** Close an idle state. Answered with `CLOSED`. argument: state. */
  CLOSE: 4,
  /** Do a step of garbage collection in an idle state. Answered with `COLLECTED`. argument: state. */
  COLLECT: 5,
  /** Leave the loop and end the thread. */
  STOP: 6,
  /**
   * The worker may run requests for this script path in this state, when they come on a connection that it serves itself.
   * id: the epoch of the route. argument: state. payload: the path.
   */
  ROUTE: 7,
  /** A suspended request ends where it waits. argument: why, an `InterruptRequest`. */
  CANCEL: 8,
  /** A piece of the file that the web server gives to a Filter. It follows the whole body. */
  DATA: 9,
  /** That file is complete (argument 0) or will never be (argument: a `BodyFault`). Every Filter's request has one. */
  DATA_END: 10,
  /** The Lua stack of a suspended request is wanted. Answered with `TRACE`, unless the request is over. */
  STACK: 11,
  /** The client of a suspended request reads too slowly: its output has to wait when it goes on. */
  HOLD: 12,
  /** The client of a request has read: its output has to wait no longer. */
  ROOM: 13,
} as const;

/** Worker to front. */
export const FromWorker = {
  /** CGI output (header block first) to be sent now. */
  OUTPUT: 1,
  /** The answer ends here for the client, the script goes on. argument: appStatus. */
  FINISH: 2,
  /** The request is over and the worker free. argument: appStatus. payload: the last output. See `withTook`. */
  END: 3,
  /** A log line. argument: index in `LOG_LEVELS`. payload: text, bytes as the script wrote them. */
  LOG: 4,
  /** A state depends on a file. argument: state. payload: fingerprint text, a NUL byte, the path. */
  DEPENDS: 5,
  /** A state that was to be closed, or evicted, is closed. argument: state. id: 1 when a request waits in it, with which it is closed. */
  CLOSED: 6,
  /** The running request sets its watchdog. argument: milliseconds from now, 0 for no limit. */
  WATCHDOG: 7,
  /** The running request sets whether it is stopped when its client goes. argument: 1 to be stopped, 0 to go on. */
  ON_ABORT: 8,
  /** The Lua stack of the running request, which the front has asked for. payload: text, bytes as Lua gave them. */
  TRACE: 9,
  /** An offer was claimed, but its state is not there any more: the request has not begun. */
  OFFER_REJECTED: 10,
  /** Processor time and memory of the request whose END follows; only if the server measures that. payload: see `Usage`. */
  USAGE: 11,
  /**
   * A connection that the worker has accepted is the front's from now on. Counted (`COUNTED`). id: its descriptor; -1 if
   * accepting has failed, so that the front has to. argument: 1 when a request on it was answered. payload: the bytes read
   * from it since.
   */
  ACCEPTED: 12,
  /** It is to be closed when all is sent. id: its descriptor. */
  CLOSE_WHEN_SENT: 13,
  /**
   * A lent connection comes back. Counted (`COUNTED`). id: its descriptor. argument: 1 when only an idle state was lacking for
   * its request. payload: the bytes read from it.
   */
  RETURNED: 14,
  /** The rest of an answer on a lent connection, which then comes back. id: its descriptor. */
  ANSWER_REST: 15,
  /**
   * A request on a lent connection is the front's from now on. Counted (`COUNTED`). id: its number. argument: its state.
   * payload: see `encodePromoted`.
   */
  PROMOTED: 16,
  /** A state has served requests on lent connections. id: how many. argument: state. payload: see `encodeServed`. */
  SERVED: 17,
  /** A step of garbage collection is done that was asked for, or there is no such state. argument: state. */
  COLLECTED: 18,
  /** The script of the request waits for a result: the worker runs others meanwhile. argument: what it waits for, a `WaitsFor`. */
  SUSPENDED: 19,
  /** The worker goes on with a suspended request, before all that it was given meanwhile. */
  RESUMED: 20,
  /**
   * A request that the front found to wait in a state, and that its worker served to its end, is over: the state is idle
   * again. Counted (`COUNTED`). argument: state. See `withTook`.
   */
  FREED: 21,
} as const;

/** What a suspended request waits for. */
export const WaitsFor = { TIMER: 1, DATA: 2, SEVERAL: 3, BODY: 4, LOCK: 5, OUTPUT: 6, KEY: 7 } as const;
export type WaitsFor = (typeof WaitsFor)[keyof typeof WaitsFor];

/**
 * The facts about connections, and about states that were found busy, that have to be known on both sides: a worker counts
 * each of these when it posts it (POSTED in `lending.ts`), and the front counts it when it handles it. As long as the two
 * numbers differ the front's books are not true, and it may not hold the gate. A message that changes who has a connection and
 * is not listed here would let the front take back a connection that it already has; if FREED were not, the front could take
 * the next request that waits in the state for the one that is over.
 */
const COUNTED: ReadonlySet<number> = new Set([
  FromWorker.RETURNED,
  FromWorker.PROMOTED,
  FromWorker.ACCEPTED,
  FromWorker.FREED,
]);

/** Whether a message of this type word is one of those. */
export function isCounted(frameType: number): boolean {
  return COUNTED.has(frameType & TYPE_MASK);
}

/** Why a body will never be complete. */
export const BodyFault = { SHORT: 1, TOO_LARGE: 2, CLIENT_GONE: 3, LATE: 4 } as const;
export type BodyFault = (typeof BodyFault)[keyof typeof BodyFault];

/** From least to most important. ORDER LOG: the index in this list is what a LOG frame carries. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The message type in a frame's type word. */
export function typeOf(frameType: number): number {
  return frameType & TYPE_MASK;
}

/** The bits of a START's type word for a request of this FastCGI role. */
export function startRole(role: number): number {
  return role << START_ROLE_SHIFT;
}

/** The FastCGI role in a START's type word. */
export function roleOf(frameType: number): number {
  return (frameType >>> START_ROLE_SHIFT) & 3;
}

/** The upper half of an END's type word tells how long the request ran, in microseconds; what is longer counts as this. */
const MAX_TOOK_US = 0xffff;

/** Adds to the type word of an END how long the request ran. */
export function withTook(frameType: number, tookMs: number): number {
  return frameType | (Math.min(MAX_TOOK_US, Math.round(tookMs * 1000)) << 16);
}

/** How long the request of an END ran, in milliseconds; at most 65. */
export function tookMsOf(frameType: number): number {
  return (frameType >>> 16) / 1000;
}

/** What a request took of its worker. */
export interface Usage {
  /** Processor time; undefined where it cannot be had. */
  readonly cpuMs: number | undefined;
  /** What its state held at the end; undefined when there was none. */
  readonly memoryBytes: number | undefined;
}

/** Two numbers, and their bytes: frames need not be aligned. */
const numbers = new Float64Array(2);
const bytesOfNumbers = new Uint8Array(numbers.buffer);

/** Valid until the next call. */
export function encodeUsage({ cpuMs, memoryBytes }: Usage): Uint8Array {
  numbers[0] = cpuMs ?? Number.NaN;
  numbers[1] = memoryBytes ?? Number.NaN;
  return bytesOfNumbers;
}

export function decodeUsage(payload: Uint8Array): Usage {
  bytesOfNumbers.set(payload);
  const cpuMs = numbers[0] as number;
  const memoryBytes = numbers[1] as number;
  return {
    cpuMs: Number.isNaN(cpuMs) ? undefined : cpuMs,
    memoryBytes: Number.isNaN(memoryBytes) ? undefined : memoryBytes,
  };
}

/** How long requests of a state usually take, in milliseconds. Valid until the next call. */
export function encodeServed(usualMs: number): Uint8Array {
  numbers[0] = usualMs;
  return bytesOfNumbers;
}

export function decodeServed(payload: Uint8Array): number {
  bytesOfNumbers.set(payload);
  return numbers[0] as number;
}

const BEGUN_FIXED_BYTES = 12;

/** Most bytes of a PROMOTED besides those of the request. */
export const PROMOTED_MORE_BYTES = BEGUN_FIXED_BYTES;

/**
 * A request on the lent connection with this descriptor, with all its records.
 * @param ageMs for how long the request has been under way
 * @param waitsFor what it waits for, a `WaitsFor`; 0: it executes
 */
export function encodePromoted(descriptor: number, bytes: Uint8Array, ageMs: number, waitsFor: number): Uint8Array {
  const out = Buffer.allocUnsafe(BEGUN_FIXED_BYTES + bytes.length);
  out.writeUInt32LE(descriptor, 0);
  out.writeFloatLE(ageMs, 4);
  out.writeUInt32LE(waitsFor, 8);
  out.set(bytes, BEGUN_FIXED_BYTES);
  return out;
}

/** `bytes` is a view into the payload. */
export function decodePromoted(payload: Uint8Array): {
  readonly descriptor: number;
  readonly ageMs: number;
  readonly waitsFor: number;
  readonly bytes: Uint8Array;
} {
  const ageMs = new DataView(payload.buffer, payload.byteOffset).getFloat32(4, true);
  const waitsFor = uint32(payload, 8);
  return { descriptor: uint32(payload, 0), ageMs, waitsFor, bytes: payload.subarray(BEGUN_FIXED_BYTES) };
}

/** What a worker is told to start. */
export interface StartMessage {
  /** With `START_OFFER` the number to claim it by; else with `START_CREATE` the state to close before, 0 for none. */
  readonly subject: number;
  /** With `START_OFFER`: where it has to be claimed. */
  readonly slot: number;
  /** With `START_CREATE`: the script's file, absolute and resolved. */
  readonly path: Uint8Array;
  /** Encoded FastCGI parameters. */
  readonly params: Uint8Array;
}

const START_FIXED_BYTES = 12;

/** Bytes of a START without path. */
export function startBytes(params: Uint8Array): number {
  return START_FIXED_BYTES + params.length;
}

/** What comes before the parameters in a START: the message is this and, right behind it, `params`. */
export function encodeStartHead(subject: number, slot: number, path: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(START_FIXED_BYTES + path.length);
  out.writeUInt32LE(subject, 0);
  out.writeUInt32LE(slot, 4);
  out.writeUInt32LE(path.length, 8);
  out.set(path, START_FIXED_BYTES);
  return out;
}

/** Views into `payload`, not copies. */
export function decodeStart(payload: Uint8Array): StartMessage {
  const pathEnd = START_FIXED_BYTES + uint32(payload, 8);
  return {
    subject: uint32(payload, 0),
    slot: uint32(payload, 4),
    path: payload.subarray(START_FIXED_BYTES, pathEnd),
    params: payload.subarray(pathEnd),
  };
}

function uint32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  return (low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
}

/** A file a state was made from, and what it was then. */
export interface Dependency {
  /** Latin-1 text of the path's bytes. */
  readonly path: string;
  /** See `fingerprint.ts`. */
  readonly fingerprint: string;
}

export function encodeDependency({ path, fingerprint }: Dependency): Uint8Array {
  return Buffer.from(`${fingerprint}\0${path}`, 'latin1');
}

export function decodeDependency(payload: Uint8Array): Dependency {
  const text = Buffer.from(payload).toString('latin1');
  const split = text.indexOf('\0');
  return { fingerprint: text.slice(0, split), path: text.slice(split + 1) };
}

/**
 * Requests that workers take by themselves have numbers of their own: above all those of the front, and for each worker
 * (of those that can be there at the same time) other ones.
 */
export const MAX_FRONT_REQUEST = 0x3fffffff;
const LENT_REQUEST_BITS = 20;

/** The least of a worker's own numbers; the next 2^20 - 1 are its own, too. */
export function firstLentRequest(worker: number): number {
  return MAX_FRONT_REQUEST + 1 + ((worker << LENT_REQUEST_BITS) & MAX_FRONT_REQUEST);
}

/** The name of a request in log and pages, the same in front and workers. */
export function requestName(runName: string, requestId: number): string {
  return `${runName}-${requestId.toString(36)}`;
}
