/**
 * A worker thread: takes requests from its ring and runs each in one of its Lua states, one at a time. It never
 * returns to the event loop while it serves; it sleeps in its ring.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { toByteString, toText } from '../base/byte-string.js';
import { LuafcgidError } from '../base/errors.js';
import { Abandoned, InterruptRequest, Interrupts } from '../channel/interrupts.js';
import {
  decodeStart,
  END_STATE_GONE,
  requestName,
  START_CREATE,
  START_HEAD,
  START_NO_BODY,
  START_OFFER,
  START_RETIRE,
  ToWorker,
} from '../channel/messages.js';
import { OfferSlots } from '../channel/offer-slots.js';
import type { Parker } from '../channel/park.js';
import { RingReader, RingWriter } from '../channel/ring.js';
import type { Config } from '../config/load.js';
import { createEngine } from '../lua/engine.js';
import { LuaError } from '../lua/state.js';
import { SourceRules } from '../scripts/source-files.js';
import type { DirectServer, DirectServerParts, LentCall } from './direct/server.js';
import { describeFailure } from './error-detail.js';
import { Inbox, type Message } from './inbox.js';
import { Outbox } from './outbox.js';
import { OutputBuffer } from './output-buffer.js';
import { type RequestOutlet, ScriptRequest } from './script-request.js';
import { ScriptState, type StateSettings } from './script-state.js';
import type { ThreadData } from './thread-data.js';
import { findCpuClock, UsageMeter } from './usage-meter.js';

/** What scripts see of the environment: names alone stand for the server's own values. */
function grantedEnvironment(granted: Config['environment'], own: NodeJS.ProcessEnv): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(granted)) {
    const found = value === true ? own[name] : toText(value);
    if (found !== undefined) variables[name] = found;
  }
  return variables;
}

class WorkerThread {
  readonly #data: ThreadData;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #ringBell: () => void;
  /** Where lent connections are served; undefined where none are lent. */
  readonly #lane: DirectServer | undefined;
  readonly #buffer = new OutputBuffer();
  readonly #slots: OfferSlots;
  readonly #settings: StateSettings;
  readonly #usage: UsageMeter | undefined;
  readonly #states = new Map<number, ScriptState>();
  readonly #interrupts: Interrupts;
  /** The request that runs, and its number; 0 between two. */
  #request: ScriptRequest | undefined;
  #requestId = 0;
  /** Where that goes which is said about it, and about none. */
  #outlet: Pick<RequestOutlet, 'log'>;

  /**
   * @param usage measures what requests take; undefined: nobody wants to know
   * @param openLane where connections can be lent
   */
  constructor(
    data: ThreadData,
    sleeper: Parker | undefined,
    ringBell: () => void,
    usage: UsageMeter | undefined,
    openLane: ((parts: DirectServerParts) => DirectServer) | undefined,
  ) {
    const { config } = data;
    const files = config.files && {
      read: config.files.read.map(toByteString),
      write: config.files.write.map(toByteString),
    };
    this.#data = data;
    this.#usage = usage;
    this.#slots = new OfferSlots(data.toWorker);
    const interrupts = new Interrupts(data.interrupts);
    const stopReason = (): Error => this.#stopReason();
    this.#interrupts = interrupts;
    this.#outbox = new Outbox(new RingWriter(data.toFront, sleeper), ringBell, interrupts, stopReason, usage);
    const ring = new RingReader(data.toWorker, sleeper);
    this.#inbox = new Inbox(ring, ringBell, interrupts, stopReason);
    this.#outlet = this.#outbox;
    this.#ringBell = ringBell;
    this.#lane = openLane?.({
      loans: data.loans,
      sleepers: data.sleepers,
      ring,
      outbox: this.#outbox,
      ringBell,
      firstRequest: data.firstRequest,
      maxPostBytes: config.maxPostBytes,
      hasState: (state) => this.#states.has(state),
      run: (call) => this.#runLent(call),
    });
    this.#settings = {
      engine: createEngine(data.engine),
      config,
      rules: new SourceRules({
        templates: config.path.map(toByteString),
        roots: data.roots,
        extensions: config.extensions.map(toByteString),
        granted: files?.read ?? [],
      }),
      files,
      environment: grantedEnvironment(config.environment, process.env),
      luaConfig: data.luaConfig,
      reports: {
        depends: (stateId, path, fingerprint) => this.#outbox.depends(stateId, path, fingerprint),
        log: (level, text) => this.#outlet.log(this.#requestId, level, text, true),
      },
      interrupts: {
        get isStopWanted() {
          return interrupts.isStopWanted;
        },
        stopReason,
        takeTrace: () => interrupts.takeTrace(),
        traced: (traceback) => this.#outbox.trace(this.#requestId, traceback),
      },
    };
  }

  /** Serves until told to stop, or until nobody listens any more. All states are closed then. */
  serve(): void {
    try {
      this.#serveAll();
    } catch (error) {
      if (!(error instanceof Abandoned)) throw error;
    }
    for (const id of [...this.#states.keys()]) this.#close(id);
    this.#settings.engine.close?.();
  }

  #serveAll(): void {
    const lane = this.#lane;
    const hasLane = (): boolean => lane?.isOpen === true;
    const next = (): Message | undefined => this.#inbox.nextUnless(hasLane);
    while (!this.#interrupts.isAbandoned) {
      // The front has something else for this worker, and waits until it is free.
      if (lane?.isHeldUp === true) this.#ringBell();
      const message = lane === undefined || lane.isOpen ? next() : lane.countAsleep(next);
      if (message === undefined) {
        lane?.serve();
        continue;
      }
      switch (message.type) {
        case ToWorker.START:
          this.#run(message);
          break;
        case ToWorker.CLOSE:
          this.#close(message.argument);
          this.#outbox.closed(message.argument);
          this.#usage?.skip();
          break;
        case ToWorker.COLLECT:
          this.#collect(message.argument);
          this.#usage?.skip();
          break;
        case ToWorker.ROUTE:
          lane?.teach(Buffer.from(message.payload).toString('latin1'), message.argument, message.id);
          break;
        case ToWorker.STOP:
          return;
        default:
          throw new Error(`message of type ${message.type} from the front`);
      }
    }
  }

  #run(message: Message): void {
    const { flags, id, argument: stateId } = message;
    const { subject, slot, path, params } = decodeStart(message.payload);
    const { config } = this.#data;
    if ((flags & START_OFFER) !== 0) {
      if (!this.#slots.claim(slot, subject)) return;
      if (!this.#states.has(stateId)) return this.#outbox.bounced(id, subject);
    } else if (subject !== 0) {
      this.#close(subject);
      this.#outbox.closed(subject);
    }
    this.#requestId = id;
    this.#interrupts.begin(id);
    this.#outbox.begin();
    this.#inbox.beginBody(id, (flags & START_NO_BODY) === 0);
    const request = new ScriptRequest(id, params, (flags & START_HEAD) !== 0, config, {
      inlet: this.#inbox,
      outlet: this.#outbox,
      buffer: this.#buffer,
    });
    this.#request = request;
    let state = this.#states.get(stateId);
    try {
      if ((flags & START_CREATE) !== 0) {
        state = new ScriptState(stateId, Buffer.from(path).toString('latin1'), this.#settings);
        this.#aim(state);
        state.load();
        this.#states.set(stateId, state);
      } else if (state !== undefined) this.#aim(state);
      if (state === undefined) throw new Error(`state ${stateId} is not here`);
      const { exitCode } = state.lua.serve(config.handler, request);
      this.#interrupts.end();
      this.#usage?.noteMemory(state.lua.memoryBytes());
      const retires = (flags & START_RETIRE) !== 0;
      if (retires) this.#close(stateId);
      request.end(retires ? END_STATE_GONE : 0, exitCode);
    } catch (error) {
      this.#interrupts.end();
      if (error instanceof Abandoned) throw error;
      this.#fail(request, state, flags, error);
    }
    this.#requestId = 0;
  }

  /** A request that came on a lent connection, for a state that is there. */
  #runLent({ id, state: stateId, cgi, inlet, outlet }: LentCall): void {
    const { config } = this.#data;
    this.#requestId = id;
    this.#outlet = outlet;
    this.#interrupts.begin(id);
    this.#outbox.begin();
    const channels = { inlet, outlet, buffer: this.#buffer };
    const request = new ScriptRequest(id, cgi.params, cgi.method === 'HEAD', config, channels);
    this.#request = request;
    const state = this.#states.get(stateId) as ScriptState;
    try {
      this.#aim(state);
      const { exitCode } = state.lua.serve(config.handler, request);
      this.#interrupts.end();
      request.end(0, exitCode);
    } catch (error) {
      this.#interrupts.end();
      if (error instanceof Abandoned) throw error;
      this.#fail(request, state, 0, error);
    }
    this.#outlet = this.#outbox;
    this.#requestId = 0;
  }

  /** What stops a request from outside has to find where it runs. */
  #aim(state: ScriptState): void {
    const { hookTarget } = state.lua;
    if (hookTarget !== undefined) this.#interrupts.aim(hookTarget.state, hookTarget.hook);
  }

  /** Why the running request has to stop. */
  #stopReason(): Error {
    if ((this.#interrupts.wishes & InterruptRequest.TIMEOUT) === 0)
      return new LuafcgidError('LUAFCGID_SCRIPT_UNWANTED');
    return new LuafcgidError('LUAFCGID_SCRIPT_TIMEOUT', { seconds: (this.#request?.watchdogMs ?? 0) / 1000 });
  }

  /** The request failed; its state lives on unless it never came to be, or is not fit for another request. */
  #fail(request: ScriptRequest, state: ScriptState | undefined, flags: number, error: unknown): void {
    const { status, logText, detail } = describeFailure(error, (file) => state?.isMadeFrom(file) ?? false);
    request.tell(status >= 500 ? 'error' : 'info', logText);
    const isLoaded = state !== undefined && this.#states.get(state.id) === state;
    const isFit = error instanceof LuaError && ['runtime', 'syntax', 'stopped'].includes(error.kind);
    const lives = isLoaded && isFit && (flags & START_RETIRE) === 0;
    if (state !== undefined) this.#usage?.noteMemory(state.lua.memoryBytes());
    if (!lives && state !== undefined) {
      state.lua.close();
      this.#states.delete(state.id);
    }
    const name = requestName(this.#data.runName, this.#requestId);
    request.fail(lives ? 0 : END_STATE_GONE, status, name, this.#data.config.showErrors ? detail : undefined);
  }

  /** An error here comes from a script's finalizer; it must not cost the states of other scripts. */
  #collect(stateId: number): void {
    const state = this.#states.get(stateId);
    try {
      state?.lua.collectStep();
    } catch (error) {
      if (!(error instanceof LuaError)) throw error;
      this.#outbox.log(0, 'warn', `${state?.path}: garbage collection failed: ${error.message}`);
    }
  }

  #close(stateId: number): void {
    this.#states.get(stateId)?.lua.close();
    this.#states.delete(stateId);
  }
}

/** How this thread and the front wake each other. Only where that is done by the kernel's calls is FFI loaded for it. */
async function waysToWake({ fd }: ThreadData['bell']): Promise<{
  wakeFront: () => void;
  sleeper?: Parker | undefined;
  openLane?: ((parts: DirectServerParts) => DirectServer) | undefined;
}> {
  if (fd === undefined) return { wakeFront: () => parentPort?.postMessage('bell') };
  const [{ ringEventfd }, { futexSleeper }, { DirectServer }] = await Promise.all([
    import('../linux/eventfd.js'),
    import('../linux/futex.js'),
    import('./direct/server.js'),
  ]);
  return { wakeFront: () => ringEventfd(fd), sleeper: futexSleeper(), openLane: (parts) => new DirectServer(parts) };
}

async function run(data: ThreadData): Promise<void> {
  const frontAsleep = new Int32Array(data.bell.asleep);
  const { wakeFront, sleeper, openLane } = await waysToWake(data.bell);
  const ringBell = (): void => {
    if (Atomics.exchange(frontAsleep, 0, 0) === 1) wakeFront();
  };
  if (data.engine.name !== 'embedded' && process.platform === 'linux') {
    // Native code may hang, and then this thread cannot be ended.
    const { currentThread } = await import('../linux/threads.js');
    new Interrupts(data.interrupts).thread = currentThread();
  }
  const usage = data.measuresUsage ? new UsageMeter(await findCpuClock()) : undefined;
  const thread = new WorkerThread(data, sleeper, ringBell, usage, openLane);
  parentPort?.postMessage('ready');
  thread.serve();
}

run(workerData as ThreadData).catch((error) => {
  // It ends the thread, whatever Node.js was told to do about promises that are rejected.
  setImmediate(() => {
    throw error;
  });
});
