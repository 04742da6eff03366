/**
 * How long clients may take: for their next request, for the rest of a request that they have begun, and for reading their
 * answers. One look per tick over all connections judges that, so that it costs requests nothing. A part of the front's
 * core: it knows no clock, and does not count time in which the server itself stood still.
 */
import { LuafcgidError } from '../../base/errors.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import type { Watch } from '../model/connection.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';

/** The longest step that counts: the process may have been stopped, and its clients' bytes wait to be read. */
const LONGEST_STEP_MS = 1000;

/** A body that comes at this pace is never late, however long it is. */
const BYTES_PER_MS = 0.5;

/** What the front does about late requests. */
export interface LateOwner {
  lateParams(connection: FrontConnection, fcgiId: number): void;
  lateBody(request: FrontRequest, nowMs: number): void;
  /** Takes a lent connection back. Returns false while its worker is at it. */
  recall(connection: FrontConnection): boolean;
  /** Reading is paused: resumes it if that is not needed any more. */
  reviewPause(connection: FrontConnection): void;
}

export class Timeouts {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #owner: LateOwner;
  #lastTickMs = -1;
  #clockMs = 0;
  /** `#clockMs` of the look before the last. */
  #beforeMs = 0;

  constructor(options: FrontOptions, actions: FrontActions, owner: LateOwner) {
    this.#options = options;
    this.#actions = actions;
    this.#owner = owner;
  }

  /** The time that connections are judged in. */
  get clockMs(): number {
    return this.#clockMs;
  }

  /** Time has passed. */
  tick(connections: Iterable<FrontConnection>, nowMs: number): void {
    const elapsedMs = this.#lastTickMs < 0 ? 0 : Math.min(nowMs - this.#lastTickMs, LONGEST_STEP_MS);
    this.#lastTickMs = nowMs;
    this.#beforeMs = this.#clockMs;
    this.#clockMs += elapsedMs;
    let idle = 0;
    for (const connection of connections) {
      connection.watch ??= newWatch(this.#clockMs);
      this.#judgeReader(connection, connection.watch);
      if (connection.isClosing) continue;
      if (this.#judgeSender(connection, connection.watch, elapsedMs)) idle += 1;
      if (connection.isPaused) this.#owner.reviewPause(connection);
    }
    if (idle > 0) {
      const error = new LuafcgidError('LUAFCGID_CLIENT_IDLE', {
        count: idle,
        seconds: this.#options.idleTimeoutMs / 1000,
      });
      this.#actions.log('debug', `${error.code}: ${error.message}. ${error.solve}`);
    }
  }

  /** Whether its client has taken nothing since before the last look. */
  isStuck({ watch }: FrontConnection): boolean {
    return watch !== undefined && watch.stuckSinceMs >= 0 && watch.stuckSinceMs <= this.#beforeMs;
  }

  /** Unsent bytes count against a client only while it reads none of them: scripts may write as slowly as they like. */
  #judgeReader(connection: FrontConnection, watch: Watch): void {
    const out = connection.isSending || connection.isClosing ? connection.outgoing() : undefined;
    if (connection.isSpooled && out !== undefined) {
      connection.isSpooled = out.isSpooled;
      connection.spoolingBytes = out.isSpooled ? Math.max(0, out.memoryBytes - connection.unsentBytes) : 0;
    }
    if (out === undefined || !out.isWaiting) {
      watch.stuckSinceMs = -1;
      return;
    }
    if (watch.stuckSinceMs < 0 || out.takenBytes !== watch.takenBytes) {
      watch.stuckSinceMs = this.#clockMs;
      watch.takenBytes = out.takenBytes;
      return;
    }
    const { sendTimeoutMs } = this.#options;
    if (this.#clockMs - watch.stuckSinceMs < sendTimeoutMs) return;
    const error = new LuafcgidError('LUAFCGID_CLIENT_NOT_READING', { seconds: sendTimeoutMs / 1000 });
    this.#actions.log('info', `${error.code}: ${error.message}. ${error.solve}`);
    connection.destroy();
  }

  /** @returns whether it was closed for having no request */
  #judgeSender(connection: FrontConnection, watch: Watch, elapsedMs: number): boolean {
    const { session } = connection;
    const { readTimeoutMs, idleTimeoutMs } = this.#options;
    const { lentTo } = connection;
    if (lentTo !== undefined && this.#actions.lending?.takeUse(connection.id, lentTo.lender)) connection.isUsed = true;
    const hasRequest = connection.isUsed || connection.requests.size > 0;
    connection.isUsed = false;
    if (hasRequest || connection.isSending) watch.idleSinceMs = this.#clockMs;
    // A half record that is here now was begun after that request.
    if (hasRequest) watch.recordLeftMs = -1;
    const isHalf = session.isCollecting || session.isInsideRecord;
    watch.halfLooks = isHalf && !hasRequest ? watch.halfLooks + 1 : 0;
    // While reading is paused nobody can tell whether the client sends.
    if (connection.isPaused) return false;
    const earnedMs = (connection.receivedBytes - watch.judgedBytes) / BYTES_PER_MS;
    watch.judgedBytes = connection.receivedBytes;
    if (session.isCollecting) {
      for (const id of session.lateParams(elapsedMs, readTimeoutMs)) {
        connection.isOverdue = true;
        this.#owner.lateParams(connection, id);
      }
    }
    if (connection.requests.size > 0) {
      for (const request of connection.requests.values()) this.#judgeBody(request, elapsedMs);
    }
    if (connection.isClosing || session.openRequests > 0) return false;
    if (session.isInsideRecord) {
      const leftMs = watch.recordLeftMs < 0 ? readTimeoutMs : watch.recordLeftMs - elapsedMs + earnedMs;
      watch.recordLeftMs = Math.min(readTimeoutMs, leftMs);
      if (watch.recordLeftMs <= 0) {
        const error = new LuafcgidError('LUAFCGID_CLIENT_HALF_RECORD', { seconds: readTimeoutMs / 1000 });
        this.#actions.log('info', `${error.code}: ${error.message}. ${error.solve}`);
        connection.close(false);
        return false;
      }
    } else watch.recordLeftMs = -1;
    if (this.#clockMs - watch.idleSinceMs < idleTimeoutMs || connection.isSending) return false;
    // On a lent connection a request may have come since it was looked at above.
    if (!this.#owner.recall(connection) || connection.isUsed) return false;
    connection.close(false);
    return true;
  }

  #judgeBody(request: FrontRequest, elapsedMs: number): void {
    const { arriving } = request;
    if (arriving === undefined || request.isAnswered) return;
    if (!arriving.isLate(elapsedMs, this.#options.readTimeoutMs, BYTES_PER_MS)) return;
    request.connection.isOverdue = true;
    this.#owner.lateBody(request, this.#lastTickMs);
  }
}

function newWatch(clockMs: number): Watch {
  return {
    idleSinceMs: clockMs,
    halfLooks: 0,
    recordLeftMs: -1,
    judgedBytes: 0,
    stuckSinceMs: -1,
    takenBytes: -1,
  };
}
