/** Host functions by which a script gives its answer to the host, the same for all engines. */

import { BODY_PIECE_BYTES, piecesOf, wordOf } from './crossing.js';
import { type HostFunction, running } from './hosted-state.js';

export const outputFunctions = {
  /**
   * Adds to the body, from an offset on. Gives the offset of what is left when that would have to wait for the client, unless it
   * may (a third argument that is true).
   */
  write(state, args) {
    const request = running(state);
    const mayBlock = args.isTrue(3);
    let at = Math.max(0, Math.trunc(args.number(2)) || 0);
    for (const piece of piecesOf(args.string(1), BODY_PIECE_BYTES, at)) {
      const taken = mayBlock ? piece.length : request.tryWrite(piece);
      if (mayBlock) request.write(piece);
      at += taken;
      if (taken < piece.length) return at;
    }
    return undefined;
  },

  /** Starts to wait for the client to read: its token, or nothing when output is to be tried again so that it may block. */
  awaitoutput: (state) => state.options.waits?.awaitOutput(),

  /** Output is about to block the worker at this place, if the client still does not read. */
  blockedoutput(state, args) {
    if (running(state).isHeld) state.options.waits?.noteBlocked(wordOf(args.string(1)));
    return undefined;
  },

  /** Sends what there is. Gives true when that would have to wait for the client, unless it may. */
  flush(state, args) {
    const request = running(state);
    if (!args.isTrue(1)) return !request.tryFlush();
    request.flush();
    return undefined;
  },

  /** The handler has returned. Gives true when what it has put has to wait for the client before the request can end. */
  lastflush: (state) => !running(state).tryLastFlush(),

  /** The same, and ends the answer. */
  finish(state, args) {
    const request = running(state);
    if (!args.isTrue(1)) return !request.tryFinish();
    request.finish();
    return undefined;
  },
} satisfies Record<string, HostFunction>;
