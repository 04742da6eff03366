/** The body of a request that was read whole. */

import type { RequestInlet } from '../request-channels.js';

export class WholeBody implements RequestInlet {
  #pieces: readonly Uint8Array[] = [];
  #piece = 0;
  #taken = 0;

  /** Another request begins, whose body are these pieces. */
  begin(pieces: readonly Uint8Array[]): void {
    this.#pieces = pieces;
    this.#piece = 0;
    this.#taken = 0;
  }

  /** What is left of it, in memory of its own. */
  outlive(): RequestInlet {
    const body = new WholeBody();
    const pieces = this.#pieces.slice(this.#piece).map((piece) => Uint8Array.from(piece));
    body.begin(pieces);
    body.#taken = this.#taken;
    return body;
  }

  readonly isWhole = true;
  readonly isReady = true;

  awaitMore(): void {}

  readData(): null {
    return null;
  }

  readBody(maxBytes: number): Uint8Array | null {
    const piece = this.#pieces[this.#piece];
    if (piece === undefined) return null;
    const bytes = piece.subarray(this.#taken, this.#taken + maxBytes);
    this.#taken += bytes.length;
    if (this.#taken === piece.length) {
      this.#piece += 1;
      this.#taken = 0;
    }
    return bytes;
  }
}
