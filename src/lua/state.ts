/**
 * One Lua virtual machine behind one narrow interface. The worker knows this file only; engines stand behind it.
 *
 * Strings that cross this boundary are bytes: either a `Uint8Array`, or a `ByteString`, a JavaScript string in which
 * each character is one byte (0 to 255, "latin1"). They are never decoded as UTF-8 on the way.
 */

import type { ByteString } from '../base/byte-string.js';
import type { RoleName } from '../base/roles.js';
import type { Dictionary } from '../shared/dictionary.js';
import type { AdapterName } from './adapters.js';
import type { LuaValue } from './lua-value.js';
import type { WaitHost } from './wait-host.js';

export type { ByteString } from '../base/byte-string.js';
export { type AdapterName, type Adapters, adapterFor, adapterNames, runsItself } from './adapters.js';
export { type EngineName, engineNames } from './engine-names.js';
export { LuaError, type LuaErrorKind } from './lua-error.js';
export type { LuaValue } from './lua-value.js';
export type {
  DataSource,
  LockAnswer,
  LockStart,
  OperationResult,
  PostedOperation,
  WaitHost,
} from './wait-host.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** The handler of a request has ended without an error. */
export interface Finished {
  readonly outcome: 'finished';
  /** The code given to `os.exit`, or 0. `os.exit(true)` is 0, `os.exit(false)` is 1. */
  readonly exitCode: number;
}

/** The handler waits for a result that its state cannot have at once; the request goes on later. */
export interface Suspended {
  readonly outcome: 'suspended';
}

/** A dictionary in shared memory, by the name that scripts know. */
export interface NamedDictionary {
  readonly name: string;
  /** Undefined where it lies in a data source. */
  readonly dictionary?: Dictionary;
  /** The name of that. */
  readonly store?: string;
}

/** How a call of the handler came back, when it raised no error. */
export type ServeResult = Finished | Suspended;

/** What a script can set for its request: `buffering` is a boolean, `watchdog` a number of seconds, the rest is text. */
export type RequestSetting = 'buffering' | 'httpstatus' | 'contenttype' | 'watchdog' | 'onabort';

/** A request that has failed, for the function of its application that makes the page for it. */
export interface RequestProblem {
  readonly status: number;
  readonly code: string;
  readonly message: ByteString;
  readonly traceback: ByteString;
}

/** What the log calls a request, and where it runs. */
export interface RequestPlace {
  readonly id: ByteString;
  readonly state: number;
  readonly worker: number;
}

/**
 * What a running request may ask of the world. Every call is synchronous and may block the thread. A call that throws
 * a `LuafcgidError` raises a Lua error with its message in the script.
 */
export interface RequestHost {
  /** The FastCGI parameters, still encoded as name-value pairs (FastCGI 1.0, 3.4), already checked to be well-formed. */
  readonly params: Uint8Array;
  /** `con:header(line)`: one `Name: value` line. */
  headerLine(line: ByteString): void;
  /** `con:header(name, value)`. */
  header(name: ByteString, value: ByteString): void;
  /** `con:status(404)` or `con:status("404 Not Found")`: the text as written by the script. */
  status(status: ByteString): void;
  /** Adds to the temporary file that the request has; gives the offset. The bytes are only valid during the call. */
  writeUpload(bytes: Uint8Array): number;
  /** At most `maxBytes` of that file from an offset on. */
  readUpload(offset: number, maxBytes: number): Uint8Array;
  /** The values that a header of the answer has now, in order. */
  headerValues(name: ByteString): readonly ByteString[];
  /** Removes a header of the answer. */
  removeHeader(name: ByteString): void;
  readonly place: RequestPlace;
  /** Why it failed, while the application answers it all the same. */
  readonly problem: RequestProblem | undefined;
  /** Adds to the response body. The bytes are only valid during the call. */
  write(body: Uint8Array): void;
  /** The same until it would have to wait for the client to read; gives how many bytes were added. */
  tryWrite(body: Uint8Array): number;
  /** Sends headers and everything written so far to the client, now. */
  flush(): void;
  /** The same; false when it would have to wait for the client to read. Some of it may have been sent. */
  tryFlush(): boolean;
  /** The handler has returned: the same for what is too much to go out with the end of the request. */
  tryLastFlush(): boolean;
  /** Whether output would have to wait for the client to read. */
  readonly isHeld: boolean;
  /** Drops unsent body, headers and status. */
  reset(): void;
  /** Sends the whole answer and ends it for the client; the script goes on. */
  finish(): void;
  /** The same; false when it would have to wait for the client to read. Some of it may have been sent. */
  tryFinish(): boolean;
  /** The handler of an Authorizer has returned true: the client may have what it asks for. */
  grant(): void;
  /** Whether nobody has to wait for the client: all of the body has come. */
  readonly isBodyWhole: boolean;
  /** At most `maxBytes` of the body, at least one byte; null at its end. Blocks until then. Valid until the next call. */
  readBody(maxBytes: number): Uint8Array | null;
  /** The same of the file that a Filter is given. */
  readData(maxBytes: number): Uint8Array | null;
  log(level: LogLevel, text: ByteString): void;
  /** `con:config(name, value)` for the settings that may change for one request. */
  configure(name: RequestSetting, value: boolean | number | ByteString): void;
}

/** What a state may ask of the world at any time, with or without a request. */
export interface StateHost {
  /** Text of `print`, `io.write` and `io.stderr:write`: a script's standard output is the log. */
  log(level: LogLevel, text: ByteString): void;
  /**
   * Reads a Lua source file for `require`, `dofile` or `loadfile` and notes that this state depends on it.
   * Returns undefined when there is no such readable regular file. What a thrown error says becomes a Lua error.
   */
  readSource(path: ByteString): Uint8Array | undefined;
}

/** What a file is opened for, as open(2) has it. */
export interface OpenHow {
  readonly reads: boolean;
  readonly writes: boolean;
  readonly creates: boolean;
  /** It must not be there yet. */
  readonly isNew: boolean;
  readonly truncates: boolean;
  readonly appends: boolean;
}

/** What the system knows of a file, in the words of LuaFileSystem; times in seconds. */
export interface FileAttributes {
  readonly mode: string;
  readonly permissions: string;
  readonly size: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly dev: number;
  readonly ino: number;
  readonly rdev: number;
  readonly blocks: number;
  readonly blksize: number;
  readonly access: number;
  readonly modification: number;
  readonly change: number;
  /** Of a link: where it leads. */
  readonly target?: ByteString;
}

/** The files that a confined state may use. Each call throws the system's error, or one with a system's code. */
export interface FileHost {
  /** Opens a regular file; gives its descriptor, which the state closes. */
  open(path: ByteString, how: OpenHow): number;
  /** Removes a file or an empty directory. */
  remove(path: ByteString): void;
  rename(from: ByteString, to: ByteString): void;
  /** Makes an empty file of a new name. */
  makeTemporary(): ByteString;
  /** Most bytes of a file that is written. */
  readonly largestBytes: number;
  /** How much all files together may grow; undefined: without a limit. */
  readonly quota?: { take(bytes: number): void; opened(): void; closed(): void } | undefined;
  attributes(path: ByteString, follows: boolean): FileAttributes;
  /** The names in a directory, "." and ".." among them. */
  list(path: ByteString): readonly ByteString[];
  makeDirectory(path: ByteString): void;
  removeDirectory(path: ByteString): void;
  touch(path: ByteString, accessSeconds: number, modifiedSeconds: number): void;
}

/** What may break into running Lua code from outside. Asked from inside of it, at an instruction. */
export interface InterruptSource {
  /** Whether the code has to stop. Stays so until its request is over. */
  readonly isStopWanted: boolean;
  /** Why: the error that ends the request. */
  stopReason(): Error;
  /** Whether the Lua stack is wanted, to be told by `traced`. */
  takeTrace(): boolean;
  traced(traceback: ByteString): void;
}

/** Where native Lua can be broken into from another thread: addresses of its main Lua thread, and of a hook for it. */
export interface HookTarget {
  readonly state: number;
  readonly hook: number;
}

/** When the values of a script go back to what its main chunk left: never, as long as the state lives, or after each request. */
export const isolations = ['state', 'request'] as const;
export type Isolation = (typeof isolations)[number];

/** What a state was when its script had been loaded: others are made of it. Belongs to the engine of its state. */
export interface StateImage {
  /** Memory that it takes. */
  readonly sizeBytes: number;
}

/** An image that engines of other threads can use; can be handed to them, and its memory is not copied then. */
export interface SharedStateImage {
  /** Memory that it takes, once for all threads. */
  readonly sizeBytes: number;
}

/** Why a state cannot be copied: it has files open, or holds something of a data source. */
export type WhyNoImage = 'files' | 'source';

export interface StateOptions {
  readonly host: StateHost;
  /** Nothing breaks into the state's code when left out. */
  readonly interrupts?: InterruptSource;
  /**
   * Most bytes of the state's memory; going past it is a Lua "not enough memory" error. Counts everything that
   * `memoryBytes()` does, so less than what an empty state holds only means that it cannot grow.
   */
  readonly memoryBytes: number;
  /** Directory searched first by `require`; relative `dofile` and `loadfile` paths start here. Absolute. */
  readonly directory: ByteString;
  /** Further `package.path` style templates (`/usr/share/lua/5.1/?.lua`), searched after `directory`. */
  readonly path: readonly ByteString[];
  /** What `con:config(name)` reads. */
  readonly config: Readonly<Record<string, LuaValue>>;
  /** What `os.getenv` sees; nothing when left out. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Secrets for sealing, by the names that scripts use; none when left out. */
  readonly keys?: Readonly<Record<string, readonly string[]>>;
  /** Whether precompiled chunks are loaded; refused when left out. */
  readonly allowsBytecode?: boolean;
  /** Whether errors have the local variables of the functions on the stack; not when left out. */
  readonly showsLocals?: boolean;
  /** Whether `globals()` may be called; not when left out. */
  readonly givesGlobals?: boolean;
  /** What `io.open` and the like reach in a confined state; nothing when left out. Native states reach all files. */
  readonly files?: FileHost;
  /** Dictionaries in memory that all workers share; none when left out. */
  readonly shared?: readonly NamedDictionary[];
  /** Where sessions are kept in memory; left out where they are not. */
  readonly sessions?: Dictionary | undefined;
  /** What scripts wait for; left out where nothing can be waited for. */
  readonly waits?: WaitHost;
  /** What the state begins as, in the place of an empty one: the same script with the same options was loaded in it. */
  readonly image?: StateImage;
}

/** A script that is written for another interface than `main(env, con)`: what an adapter makes its handler of. */
export interface Adaptation {
  readonly adapter: AdapterName;
  /** The name of the function that the handler stands for. */
  readonly handler: ByteString;
  /** The script's file. */
  readonly path: ByteString;
  /** Its text, where the adapter runs it by itself; else `run` has run it. */
  readonly source?: Uint8Array;
}

export interface LuaState {
  /** Undefined where the engine looks at its `interrupts` by itself. */
  readonly hookTarget: HookTarget | undefined;
  /** Compiles and runs a chunk at top level. Throws `LuaError`. */
  run(chunk: Uint8Array, chunkName: ByteString): void;
  /** Makes the handler of a script by an adapter. Throws `LuaError`. */
  adapt(adaptation: Adaptation): void;
  /**
   * Whether the global `name` can be called.
   * @param role for a Responder, what the script's main chunk has returned counts as well
   */
  hasFunction(name: ByteString, role?: RoleName): boolean;
  /**
   * Calls the global function `handler` with `env` and `con` of this request. Throws `LuaError`.
   * @param role what the web server asks for; a Responder's when left out
   */
  serve(handler: ByteString, request: RequestHost, role?: RoleName): ServeResult;
  /** From now on handlers can wait, whether the script has required a module that waits or not. Not while one runs or waits. */
  enableWaiting(): void;
  /** Goes on with a handler that was suspended, since one of its operations is over. Throws `LuaError`. */
  resume(): ServeResult;
  /** Ends a suspended handler where it waits; none of its code runs any more. Gives the Lua stack of that place. */
  cancel(): ByteString;
  /** The Lua stack of a suspended handler. */
  suspendedTraceback(): ByteString;
  /** Calls the global function `name` without arguments (configuration hooks). Throws `LuaError`. */
  call(name: ByteString): void;
  /**
   * All globals with string keys that did not exist before the first `run`; functions come as `true` under `functions`.
   * Throws `LuaError` when the state was not made for it (`givesGlobals`), or when they are more than a configuration has.
   */
  globals(): { readonly values: Readonly<Record<string, LuaValue>>; readonly functions: readonly string[] };
  /** What the script has asked for while it was loaded. */
  readonly isolation: Isolation | undefined;
  /**
   * Copies the state, whose script is loaded. Left out where the engine cannot.
   * @param handler the function that will be called, and in which role
   * @returns why it cannot be copied, if it cannot
   * @throws LuaError
   */
  takeImage?(handler: ByteString, role?: RoleName): StateImage | WhyNoImage;
  /** Makes the state what it was when its image was taken, or what it began as. No request is suspended in it. */
  restore?(image: StateImage): void;
  /** Bytes of memory that the state holds. */
  memoryBytes(): number;
  /** Does a bounded step of garbage collection (an idle state is waiting). */
  collectStep(): void;
  /** Gives everything back. The state must not be used afterwards. */
  close(): void;
}

export interface LuaEngine {
  /** Engine name as in the configuration, e.g. `embedded`. */
  readonly name: string;
  /** e.g. `Lua 5.1`. */
  readonly version: string;
  /** Whether scripts reach nothing but what their host grants. Otherwise they may read any file that the process may. */
  readonly isConfined: boolean;
  /** Whether states can be copied (`takeImage`). */
  readonly hasImages: boolean;
  createState(options: StateOptions): LuaState;
  /** Copies an image into memory that all threads can read. */
  shareImage?(image: StateImage): SharedStateImage;
  /** An image that another thread has shared; undefined when it belongs to another engine. */
  openImage?(shared: SharedStateImage): StateImage | undefined;
  /** Takes what a first state needs of the system. @throws LuafcgidError when there is no room for it */
  reserve?(): void;
  /** Gives back what the engine itself holds, when all states are closed. */
  close?(): void;
}
