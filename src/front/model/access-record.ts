/** What the access log needs of a request that is under way. Requests have one only if there is such a log. */
import type { Role } from '../../base/roles.js';
import type { Usage } from '../../channel/messages.js';
import type { Outcome } from '../../logging/access-format.js';
import type { RequestTimes } from './times.js';

/** The status that nginx logs for a client that has gone before it was answered. */
const CLIENT_GONE = 499;

/** `Status: NNN` is in every answer, a script's (`cgi/response.ts`) or a page: only `Location` may come before it. */
const STATUS_AT = 'Status: '.length;
const STATUS_END = STATUS_AT + 3;
const LETTER_S = 0x53;
const CR = 13;
const LF = 10;
const ZERO = 48;

/** A request that is over, for the access log. */
export interface AccessEntry {
  readonly name: string;
  readonly record: AccessRecord;
  readonly times: RequestTimes;
  /** Its file, or its path as long as no file was found. */
  readonly script: string;
  readonly state: number | undefined;
  readonly role: Role;
  readonly method: string;
  readonly receivedBytes: number;
  /** Encoded pairs. */
  readonly params: Uint8Array;
}

export class AccessRecord implements Usage {
  /** The place of the worker that began with it. */
  worker: number | undefined;
  /** 0: none was sent. */
  status = 0;
  sentBytes = 0;
  outcome: Outcome | undefined;
  cpuMs: number | undefined;
  memoryBytes: number | undefined;
  /** Bytes of the empty line after the header block that have come in a row: 4 when the block is over. */
  #matched = 0;
  /** Bytes of the present line of the header block, and whether it is the status line. */
  #column = 0;
  #isStatusLine = false;

  used({ cpuMs, memoryBytes }: Usage): void {
    this.cpuMs = cpuMs;
    this.memoryBytes = memoryBytes;
  }

  /** The next bytes of the answer go out. */
  sent(output: Uint8Array): void {
    let at = 0;
    for (; at < output.length && this.#matched < 4; at += 1) {
      const byte = output[at] as number;
      if (byte === (this.#matched % 2 === 0 ? CR : LF)) this.#matched += 1;
      else this.#matched = byte === CR ? 1 : 0;
      this.#readStatus(byte);
    }
    this.sentBytes += output.length - at;
  }

  /** The next byte of the header block: three digits of the status line are the status. */
  #readStatus(byte: number): void {
    if (this.#column === 0) this.#isStatusLine = byte === LETTER_S && this.status === 0;
    if (this.#isStatusLine && this.#column >= STATUS_AT && this.#column < STATUS_END) {
      this.status = this.status * 10 + byte - ZERO;
    }
    this.#column = byte === LF ? 0 : this.#column + 1;
  }

  /** How it ended. The first call counts. */
  end(outcome: Outcome, status = 0): void {
    this.outcome ??= outcome;
    if (this.status === 0) this.status = status;
  }

  /** The client has gone. */
  abort(): void {
    if (this.outcome === undefined) this.end('aborted', CLIENT_GONE);
  }
}
