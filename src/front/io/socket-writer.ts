/** A connection's socket as far as bytes go out through it: what the two drivers have in common. */

/** How long a closed connection is still read, so that its peer gets the answer before a reset. */
export const LINGER_MS = 5_000;

export interface SocketWriter {
  /** Bytes written that the system has not taken yet. */
  readonly unsentBytes: number;
  /** Bytes that the system has taken in all. */
  readonly takenBytes: number;
  /** It has enough to send: whoever could wait should, until it has drained. */
  readonly isFull: boolean;
  /** `end(false)` closes the descriptor some time after the call; `end(true)` tells the peer of the end at once. */
  readonly closesLater: boolean;
  /** The connection is no more; nothing can be sent. */
  readonly isGone: boolean;
  /** Sends bytes, which are valid during this call only, as soon as possible. */
  write(bytes: Uint8Array): void;
  /** Closes when all is sent. @param linger what the peer still sends is read and dropped for a while */
  end(linger: boolean): void;
  /** Closes at once. */
  destroy(): void;
  /** Leaves what arrives to the system, or reads it again. */
  setPaused(isPaused: boolean): void;
}
