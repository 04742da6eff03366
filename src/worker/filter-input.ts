/** What comes to a Filter: its body and, behind that, a file (FastCGI 1.0, 6.4). Scripts read the two in any order. */

import type { RequestInlet } from './request-channels.js';

/** A stream of a request, as `Inbox` gives it. */
type Stream = Omit<RequestInlet, 'readData' | 'file'>;

export class FilterInput implements RequestInlet {
  readonly #body: Stream;
  readonly file: Stream;

  constructor(body: Stream, file: Stream) {
    this.#body = body;
    this.file = file;
  }

  get isWhole(): boolean {
    return this.#body.isWhole;
  }

  get isReady(): boolean {
    return this.#body.isReady;
  }

  awaitMore(call: () => void): void {
    this.#body.awaitMore(call);
  }

  readBody(maxBytes: number): Uint8Array | null {
    return this.#body.readBody(maxBytes);
  }

  readData(maxBytes: number): Uint8Array | null {
    return this.file.readBody(maxBytes);
  }

  outlive(): RequestInlet {
    this.#body.outlive();
    this.file.outlive();
    return this;
  }
}
