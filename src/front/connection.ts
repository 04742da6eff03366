/** One connection of a web server: its FastCGI session, its requests, and what waits to be sent on it. */
import type { ServerSession } from '../fcgi/session.js';
import type { FrontRequest } from './request.js';

export class Connection {
  readonly id: number;
  readonly session: ServerSession;
  /** Requests that are not answered yet, by their id on this connection. */
  readonly requests = new Map<number, FrontRequest>();
  /** The peer will send nothing more. */
  isReadEnded = false;
  /** No bytes are read: a request's body has filled its buffer. */
  isPaused = false;
  /** Closed, or about to be when what was written is sent. */
  isClosing = false;
  /** Bytes written and not yet sent. */
  unsentBytes = 0;
  /** Requests that became complete with the bytes just read, to be started when all of those are read. */
  readonly fresh: FrontRequest[] = [];

  constructor(id: number, session: ServerSession) {
    this.id = id;
    this.session = session;
  }
}
