/**
 * Sheds load when all clients together hold too much. For memory of requests the largest one that no worker runs is turned
 * away; for memory of answers the client that has read nothing for the longest is disconnected; for connections the one
 * without a request for the longest is closed. No client waits for another's memory, so none can wait for ever. A part of
 * the front's core.
 */
import { LuafcgidError } from '../../base/errors.js';
import type { FrontActions, FrontOptions } from '../model/actions.js';
import type { Meters } from '../model/connection.js';
import type { FrontConnection, FrontRequest } from '../model/request.js';
import type { Timeouts } from './timeouts.js';

/** Looks after which an incomplete request no longer keeps its connection from being closed for others. */
const HALF_LOOKS = 4;

/** One walk over all connections finds at most this part of them: in a flood a walk for each would take too long. */
const FOUND_PART = 1 / 8;

/** Something that holds memory and can be given up: a request, incomplete parameters, or half of another record. */
interface Holder {
  readonly connection: FrontConnection;
  readonly fcgiId: number;
  readonly request: FrontRequest | undefined;
  readonly bytes: number;
}

/** How load is shed. */
export interface LoadSheddingOwner {
  /** Takes a lent connection back. Returns false while its worker is at it. */
  recall(connection: FrontConnection): boolean;
  /** Answers a request that waits or arrives. Returns false when it has just begun to run. */
  turnAway(request: FrontRequest, error: LuafcgidError): boolean;
  /** Answers a request whose parameters are incomplete. */
  turnAwayParams(connection: FrontConnection, fcgiId: number, error: LuafcgidError): void;
}

export class LoadShedding {
  readonly #options: FrontOptions;
  readonly #actions: FrontActions;
  readonly #meters: Meters;
  readonly #connections: ReadonlyMap<number, FrontConnection>;
  readonly #timeouts: Timeouts;
  readonly #owner: LoadSheddingOwner;
  /** Found at the last walk, the largest at the end; each is looked at again before it is given up. */
  #holders: Holder[] = [];
  #idle: FrontConnection[] = [];
  /** The last walk found no client that does not read: no use to walk again before the next tick. */
  #allRead = false;
  /** Closed for others, and not gone yet. */
  readonly #leaving = new Set<number>();
  #madeRoom = 0;

  constructor(
    options: FrontOptions,
    actions: FrontActions,
    meters: Meters,
    connections: ReadonlyMap<number, FrontConnection>,
    timeouts: Timeouts,
    owner: LoadSheddingOwner,
  ) {
    this.#options = options;
    this.#actions = actions;
    this.#meters = meters;
    this.#connections = connections;
    this.#timeouts = timeouts;
    this.#owner = owner;
  }

  /** To be called at each tick: what was found before may have changed. */
  tick(): void {
    this.#holders = [];
    this.#idle = [];
    this.#allRead = false;
    if (this.#madeRoom === 0) return;
    const values = { count: this.#madeRoom, limit: this.#options.connectionLimit };
    this.#log('warn', new LuafcgidError('LUAFCGID_CLIENT_ROOM', values));
    this.#madeRoom = 0;
  }

  // ---- connections -------------------------------------------------------------------------------------------------

  /** Whether one more connection may be opened as it is. */
  get hasRoom(): boolean {
    return this.hasRoomFor(1);
  }

  /** Whether so many more may be. */
  hasRoomFor(count: number): boolean {
    return this.#connections.size - this.#leaving.size + count <= this.#options.connectionLimit;
  }

  /** Whether one more connection may be opened; closes one that has no request if that makes room for it. */
  admits(): boolean {
    if (this.hasRoom) return true;
    const connection = this.#longestIdle();
    if (connection === undefined) return false;
    this.#madeRoom += 1;
    this.#leaving.add(connection.id);
    connection.close(false);
    return this.hasRoom;
  }

  connectionGone(id: number): void {
    if (this.#leaving.size > 0) this.#leaving.delete(id);
  }

  /** Connections closed for others that are not gone yet. */
  get leaving(): number {
    return this.#leaving.size;
  }

  #longestIdle(): FrontConnection | undefined {
    const passedOver = new Set<FrontConnection>();
    for (;;) {
      for (let found = this.#idle.pop(); found !== undefined; found = this.#idle.pop()) {
        // That a lent one was used is known only when it is back.
        if (mayLeave(found) && this.#owner.recall(found) && mayLeave(found)) return found;
        passedOver.add(found);
      }
      const idle = [...this.#connections.values()].filter((each) => mayLeave(each) && !passedOver.has(each));
      if (idle.length === 0) return undefined;
      // A connection used since the last tick has the same idle time as one opened since then: those without any request
      // go first.
      const since = ({ watch }: FrontConnection): number => watch?.idleSinceMs ?? this.#timeouts.clockMs;
      const asked = ({ hasAsked }: FrontConnection): number => (hasAsked ? 1 : 0);
      this.#idle = lastOf(idle.sort((a, b) => since(b) - since(a) || asked(b) - asked(a) || b.id - a.id));
    }
  }

  // ---- parameters and bodies ---------------------------------------------------------------------------------------

  /** Turns requests away until those that no worker runs hold no more than they may. */
  relieveRequests(): void {
    const limit = this.#options.bodyTotalBytes;
    while (this.#meters.requests.bytes > limit) {
      const holder = this.#largestHolder();
      if (holder === undefined) return;
      const { connection, fcgiId, request, bytes } = holder;
      const error = new LuafcgidError('LUAFCGID_REQUEST_NO_ROOM', { limit, bytes });
      if (request !== undefined) {
        // Its worker has just begun with it, as a message on the way will say: then there is room.
        if (!this.#owner.turnAway(request, error)) return;
      } else if (fcgiId > 0) this.#owner.turnAwayParams(connection, fcgiId, error);
      else {
        this.#log('warn', error);
        connection.close(false);
      }
    }
  }

  #largestHolder(): Holder | undefined {
    for (let isFresh = false; ; isFresh = true) {
      for (let found = this.#holders.pop(); found !== undefined; found = this.#holders.pop()) {
        if (holdsStill(found)) return found;
      }
      if (isFresh) return undefined;
      this.#holders = lastOf(this.#findHolders().sort((a, b) => a.bytes - b.bytes));
    }
  }

  #findHolders(): Holder[] {
    const found: Holder[] = [];
    for (const connection of this.#connections.values()) {
      const { session } = connection;
      if (connection.isClosing) continue;
      if (session.recordBytes > 0)
        found.push({ connection, fcgiId: 0, request: undefined, bytes: session.recordBytes });
      session.forEachCollecting((fcgiId, bytes) => found.push({ connection, fcgiId, request: undefined, bytes }));
      if (connection.requests.size === 0) continue;
      for (const request of connection.requests.values()) {
        if (mayGo(request)) found.push({ connection, fcgiId: request.fcgiId, request, bytes: request.heldBytes });
      }
    }
    return found;
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  /**
   * Whether more may be written: the memory of unsent answers is within its limit, if need be after disconnecting clients
   * that do not read.
   */
  hasSendRoom(): boolean {
    const limit = this.#options.sendTotalBytes;
    if (this.#meters.unsent.bytes <= limit) return true;
    if (this.#allRead) return false;
    const stuck = [...this.#connections.values()].filter(
      (each) => each.waitingBytes > 0 && this.#timeouts.isStuck(each),
    );
    stuck.sort((a, b) => stuckSince(a) - stuckSince(b) || b.waitingBytes - a.waitingBytes);
    for (const connection of stuck) {
      if (this.#meters.unsent.bytes <= limit) break;
      this.#log('warn', new LuafcgidError('LUAFCGID_CLIENT_UNREAD', { limit, bytes: connection.waitingBytes }));
      connection.destroy();
    }
    this.#allRead = this.#meters.unsent.bytes > limit;
    return !this.#allRead;
  }

  #log(level: 'warn', error: LuafcgidError): void {
    this.#actions.log(level, `${error.code}: ${error.message}. ${error.solve}`);
  }
}

/** The end of a list, and of a short one all. */
function lastOf<T>(list: T[]): T[] {
  return list.slice(-Math.max(1, Math.ceil(list.length * FOUND_PART)));
}

function mayGo({ stage, isAnswered }: FrontRequest): boolean {
  return !isAnswered && (stage === 'looking' || stage === 'reading' || stage === 'waiting');
}

function holdsStill({ connection, fcgiId, request }: Holder): boolean {
  if (request !== undefined) return mayGo(request);
  if (connection.isClosing) return false;
  return fcgiId === 0 ? connection.session.recordBytes > 0 : connection.session.isCollectingFor(fcgiId);
}

/** Whether no request is under way on it, nor likely to be completed. */
function mayLeave(connection: FrontConnection): boolean {
  if (connection.isClosing || connection.isUsed || connection.requests.size > 0 || connection.isSending) return false;
  return connection.isIdle || (connection.watch?.halfLooks ?? 0) >= HALF_LOOKS;
}

function stuckSince({ watch }: FrontConnection): number {
  return watch?.stuckSinceMs ?? 0;
}
