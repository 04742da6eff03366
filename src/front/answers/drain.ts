/**
 * The end of a server in order: it accepts no new connections, finishes the requests that have begun, and closes each
 * connection after that. A connection that was just accepted, or that a web server keeps, counts as begun: its next request
 * may be on its way, and would fail if the connection were closed before it came. It has a moment for one more request,
 * and is closed with its answer.
 */
import type { FrontConnection } from '../model/request.js';

/**
 * How long a connection without a request has for its request to arrive. Web servers send it as soon as they are
 * connected; on a connection that they keep it was sent before they could know of the stop.
 */
const NEWCOMER_MS = 500;

export class Drain {
  readonly #requests: ReadonlyMap<number, unknown>;
  readonly #isLending: () => boolean;
  readonly #drained: () => void;
  /** Connections that had no request when it began, and have had none since. */
  readonly #newcomers = new Set<FrontConnection>();
  #endsMs = Number.POSITIVE_INFINITY;
  #isUnderWay = false;
  #isOver = false;
  #areNewcomersLate = false;

  /**
   * @param requests all that are not over
   * @param isLending whether workers may have requests that the front does not know
   * @param drained called once, when the last one is over
   */
  constructor(requests: ReadonlyMap<number, unknown>, isLending: () => boolean, drained: () => void) {
    this.#requests = requests;
    this.#isLending = isLending;
    this.#drained = drained;
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  begin(connections: Iterable<FrontConnection>, nowMs: number): void {
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    this.#endsMs = nowMs + NEWCOMER_MS;
    for (const connection of connections) {
      if (connection.session.openRequests === 0) connection.hasAsked = false;
      if (!connection.hasAsked) this.#newcomers.add(connection);
      connection.closeIfDone(this.closes(connection), false);
    }
    this.look();
  }

  /** A connection was accepted just before the drain began, and is opened now. */
  add(connection: FrontConnection): void {
    if (this.#areNewcomersLate) connection.close(false);
    else this.#newcomers.add(connection);
  }

  /** Whether a connection is closed as soon as it is idle. */
  closes(connection: FrontConnection): boolean {
    return this.#isUnderWay && (connection.hasAsked || this.#areNewcomersLate);
  }

  tick(nowMs: number): void {
    if (nowMs < this.#endsMs) return;
    this.#endsMs = Number.POSITIVE_INFINITY;
    this.#areNewcomersLate = true;
    for (const connection of this.#newcomers) connection.closeIfDone(true, false);
    this.#newcomers.clear();
    this.look();
  }

  /** To be called when a request is over or a connection is gone: that may have been the last one. */
  look(): void {
    if (!this.#isUnderWay || this.#isOver) return;
    for (const connection of this.#newcomers) {
      if (connection.hasAsked || connection.isClosing) this.#newcomers.delete(connection);
    }
    this.#isOver = this.#requests.size === 0 && this.#newcomers.size === 0 && !this.#isLending();
    if (this.#isOver) this.#drained();
  }
}
