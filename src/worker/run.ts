/** A request between its begin and its end in this worker, and what it needs of the worker meanwhile. */

import type { ByteString } from '../lua/state.js';
import type { OutputBuffer } from './output-buffer.js';
import type { RequestInlet, RequestOrigin, RequestOutlet, RequestSettings } from './request-channels.js';
import { ScriptRequest } from './script-request.js';
import type { ScriptState } from './script-state.js';
import type { WaitOwner } from './waits.js';

/** What is known of a request before it begins, however it came. */
export interface RunStart {
  readonly id: number;
  /** The number of its state. */
  readonly stateId: number;
  /** The script's file when its state has to be made first; undefined: the state is there. */
  readonly createdFrom: ByteString | undefined;
  /** Its state is closed after it. */
  readonly retiresState: boolean;
  /** Encoded FastCGI parameters. */
  readonly params: Uint8Array;
  /** What the web server asks for: a `Role` of FastCGI. */
  readonly role: number;
  /** This worker has read it from a connection by itself. */
  readonly isDirect: boolean;
  /** The answer goes without its body. */
  readonly isHead: boolean;
  readonly inlet: RequestInlet;
  readonly outlet: RequestOutlet;
}

export class Run implements WaitOwner {
  readonly start: RunStart;
  readonly request: ScriptRequest;
  readonly buffer: OutputBuffer;
  /** When it began, as `performance.now()` counts. */
  readonly startedMs: number;
  /** The state that runs it, as soon as that exists. */
  state: ScriptState | undefined;
  /** Its handler waits. */
  isSuspended = false;
  /** It is listed among those that can go on. */
  isListed = false;
  /** When it was last suspended, and for how long it was suspended in all. */
  suspendedMs = 0;
  waitedMs = 0;
  /** The status of the error that ended it; 0: none did. */
  failedStatus = 0;
  /** Its output has blocked this worker, since its client read slowly. */
  hasBlockedForClient = false;
  /** Its state is closed with it: the front has said so while it waited. */
  closesState = false;
  /** It has been suspended before. */
  isLasting = false;
  tokens: Set<number> | undefined;
  locks: Map<string, number> | undefined;
  holdsPlace = false;
  hasPosted = false;

  /** @param buffer keeps its output; nobody else uses it meanwhile */
  constructor(
    start: RunStart,
    settings: RequestSettings,
    origin: RequestOrigin,
    buffer: OutputBuffer,
    startedMs: number,
  ) {
    const { id, stateId, params, role, isHead, inlet, outlet } = start;
    this.start = start;
    this.buffer = buffer;
    this.startedMs = startedMs;
    this.request = new ScriptRequest(id, params, { role, isHead }, settings, {
      inlet,
      outlet,
      buffer,
      startedMs,
      origin,
      stateId,
    });
  }

  /** Its handler waits for the first time: nothing of it may stay in buffers that others use. */
  outlive(): void {
    if (this.isLasting) return;
    this.isLasting = true;
    this.request.outlive();
  }

  /** It has waited until now. */
  noteWaited(nowMs: number): void {
    this.isSuspended = false;
    this.waitedMs += nowMs - this.suspendedMs;
    this.request.noteWaited(nowMs - this.suspendedMs);
  }

  get script(): ByteString {
    return this.state?.path ?? this.start.createdFrom ?? '';
  }

  get body(): RequestInlet {
    return this.request.inlet;
  }

  get isOutputHeld(): boolean {
    return this.request.isHeld;
  }

  get id(): number {
    return this.start.id;
  }
}
