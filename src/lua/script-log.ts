/** Standard output and standard error of a script: complete lines go to the log. */

import type { ByteString, StateHost } from './state.js';

/** A line that gets longer than this is logged in pieces, so that a script without line ends cannot pile it up. */
const LONGEST_LINE = 8192;

const levels = { 1: 'info', 2: 'warn' } as const;
type Stream = keyof typeof levels;

export class ScriptLog {
  readonly #host: StateHost;
  readonly #partial: Record<Stream, ByteString> = { 1: '', 2: '' };

  constructor(host: StateHost) {
    this.#host = host;
  }

  /** Adds text to stream 1 (output) or 2 (error). */
  write(stream: number, text: ByteString): void {
    const to: Stream = stream === 2 ? 2 : 1;
    let rest = this.#partial[to] + text;
    let end = rest.indexOf('\n');
    while (end >= 0) {
      this.#host.log(levels[to], rest.slice(0, end));
      rest = rest.slice(end + 1);
      end = rest.indexOf('\n');
    }
    while (rest.length > LONGEST_LINE) {
      this.#host.log(levels[to], rest.slice(0, LONGEST_LINE));
      rest = rest.slice(LONGEST_LINE);
    }
    this.#partial[to] = rest;
  }

  /** Logs lines that were not ended. */
  flush(): void {
    for (const stream of [1, 2] as const) {
      const text = this.#partial[stream];
      this.#partial[stream] = '';
      if (text !== '') this.#host.log(levels[stream], text);
    }
  }
}
