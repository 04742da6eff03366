/**
 * Bytes to records (section 3.3), for both roles. It keeps at most one header and one short record, whatever arrives:
 * content of the stream types is handed on in pieces as it comes, so half a record costs no memory.
 */
import { NOTHING } from '../base/bytes.js';
import { LuafcgidError } from '../base/errors.js';
import { HEADER_BYTES, RecordType, VERSION } from './constants.js';

/**
 * A record, or a piece of one when it belongs to a request's stream (PARAMS, STDIN, STDOUT, STDERR, DATA). Management
 * records, whose id is 0, are always whole: each is answered once.
 */
export interface FcgiRecord {
  readonly type: number;
  readonly requestId: number;
  /**
   * A view of the bytes that were fed: valid until the next call of `feed`. It is empty only when the record is, which
   * for a stream type means the end of the stream.
   */
  readonly content: Uint8Array;
}

function isStream(type: number, requestId: number): boolean {
  if (requestId === 0) return false;
  return (type >= RecordType.PARAMS && type <= RecordType.STDERR) || type === RecordType.DATA;
}

export class RecordDecoder {
  #chunk: Uint8Array = NOTHING;
  #at = 0;
  /** Made when a header comes in pieces. */
  #header: Uint8Array = NOTHING;
  #headerBytes = 0;
  /** The record whose header is complete; its content and padding still to come. */
  #type = 0;
  #requestId = 0;
  #contentLeft = 0;
  #paddingLeft = 0;
  /** Content so far of a record that is handed on whole. */
  #whole: Uint8Array = NOTHING;
  #wholeBytes = 0;

  /** Takes bytes as they come from the connection; call `next` until it has nothing more before feeding again. */
  feed(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Whether the bytes fed so far end inside a record. */
  get isInsideRecord(): boolean {
    return this.#headerBytes > 0 || this.#paddingLeft > 0;
  }

  /** Bytes of memory that a record holds which is handed on whole and has not come wholly. */
  get heldBytes(): number {
    return this.#whole.length;
  }

  /**
   * The next record or piece, or undefined when more bytes are needed.
   * @throws LuafcgidError `LUAFCGID_FCGI_VERSION` when the bytes are no FastCGI 1.0
   */
  next(): FcgiRecord | undefined {
    for (;;) {
      if (this.#headerBytes < HEADER_BYTES) {
        this.#skipPadding();
        if (!this.#readHeader()) return undefined;
        if (this.#contentLeft === 0) return this.#endRecord(NOTHING);
      }
      const available = Math.min(this.#contentLeft, this.#chunk.length - this.#at);
      if (available === 0) return undefined;
      const piece = this.#chunk.subarray(this.#at, this.#at + available);
      this.#at += available;
      this.#contentLeft -= available;
      if (isStream(this.#type, this.#requestId)) {
        if (this.#contentLeft === 0) return this.#endRecord(piece);
        return { type: this.#type, requestId: this.#requestId, content: piece };
      }
      if (this.#contentLeft === 0 && this.#wholeBytes === 0) return this.#endRecord(piece);
      if (this.#wholeBytes === 0) this.#whole = new Uint8Array(available + this.#contentLeft);
      this.#whole.set(piece, this.#wholeBytes);
      this.#wholeBytes += available;
      if (this.#contentLeft === 0) return this.#endRecord(this.#whole);
    }
  }

  #readHeader(): boolean {
    const chunk = this.#chunk;
    let header = chunk;
    let at = this.#at;
    if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
      this.#at += HEADER_BYTES;
    } else {
      const taken = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at);
      if (taken === 0) return false;
      if (this.#header.length === 0) this.#header = new Uint8Array(HEADER_BYTES);
      this.#header.set(chunk.subarray(at, at + taken), this.#headerBytes);
      this.#headerBytes += taken;
      this.#at += taken;
      // Told at the first byte: a peer that speaks something else may never send eight of them.
      if (this.#headerBytes < HEADER_BYTES && this.#header[0] === VERSION) return false;
      header = this.#header;
      at = 0;
    }
    const version = header[at] as number;
    if (version !== VERSION) throw new LuafcgidError('LUAFCGID_FCGI_VERSION', { version });
    this.#headerBytes = HEADER_BYTES;
    this.#type = header[at + 1] as number;
    this.#requestId = ((header[at + 2] as number) << 8) | (header[at + 3] as number);
    this.#contentLeft = ((header[at + 4] as number) << 8) | (header[at + 5] as number);
    this.#paddingLeft = header[at + 6] as number;
    return true;
  }

  #endRecord(content: Uint8Array): FcgiRecord {
    this.#headerBytes = 0;
    this.#whole = NOTHING;
    this.#wholeBytes = 0;
    return { type: this.#type, requestId: this.#requestId, content };
  }

  /** Padding is skipped before the next header is read, so a record is handed on before its padding has come. */
  #skipPadding(): void {
    if (this.#paddingLeft === 0) return;
    const skipped = Math.min(this.#paddingLeft, this.#chunk.length - this.#at);
    this.#paddingLeft -= skipped;
    this.#at += skipped;
  }
}
