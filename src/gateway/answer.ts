/** A script's answer (RFC 3875, section 6) as bytes arrive: first the header block, then the body. */

export interface AnswerHead {
  readonly status: number;
  /** Empty when the script named none. */
  readonly reason: string;
  /** In order; hop-by-hop headers and `Status` are left out. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** From `Content-Length`. */
  readonly bodyBytes: number | undefined;
}

/** Most bytes of a header block. */
const MAX_HEAD_BYTES = 64 * 1024;

/** Headers about one connection, not about the answer (RFC 9110, 7.6.1): the gateway makes its own. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that no header may have
const FORBIDDEN = /[\x00-\x08\x0a-\x1f\x7f]/;
const LF = 0x0a;
const CR = 0x0d;

/** Finds the end of the header block, wherever the bytes are cut. */
export class AnswerReader {
  /** Grows by doubling: a block that comes byte by byte is not copied for each of them. */
  #bytes = Buffer.alloc(1024);
  #length = 0;
  #done = false;

  /** Whether the header block is complete. */
  get hasHead(): boolean {
    return this.#done;
  }

  /** Whether no byte has come yet. */
  get isEmpty(): boolean {
    return !this.#done && this.#length === 0;
  }

  /**
   * Takes bytes of the header block. Undefined until it is complete; then the head and what of the body came with it.
   * @throws Error that says what is wrong with the block
   */
  push(bytes: Uint8Array): { readonly head: AnswerHead; readonly body: Uint8Array } | undefined {
    // The blank line may straddle two pieces: look again at the last bytes.
    const from = Math.max(0, this.#length - 2);
    this.#add(bytes);
    const all = this.#bytes.subarray(0, this.#length);
    const end = headEnd(all, from);
    if ((end ?? all.length) > MAX_HEAD_BYTES) throw new Error(`more than ${MAX_HEAD_BYTES} bytes of headers`);
    if (end === undefined) return undefined;
    this.#done = true;
    return { head: parseHead(all.toString('latin1', 0, end)), body: all.subarray(end) };
  }

  #add(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(needed, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }
}

/** The place after the first blank line, where lines end with LF or CRLF. */
function headEnd(bytes: Buffer, from: number): number | undefined {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    const before = bytes[at - 1] === CR ? at - 2 : at - 1;
    if (before < 0 || bytes[before] === LF) return at + 1;
  }
  return undefined;
}

/** A pattern would try each run of spaces from each of its characters on. */
function withoutSpacesAtEnd(text: string): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === ' ' || text[end - 1] === '\t')) end -= 1;
  return text.slice(0, end);
}

function parseHead(text: string): AnswerHead {
  const all = text
    .split(/\r?\n/)
    .filter((line) => line !== '')
    .map((line): [string, string] => {
      const [, name, rest] = HEADER_LINE.exec(line) ?? [];
      const value = rest && withoutSpacesAtEnd(rest);
      if (name === undefined || value === undefined || FORBIDDEN.test(value)) {
        throw new Error(`a malformed header line, ${JSON.stringify(line.slice(0, 200))}`);
      }
      return [name, value];
    });
  if (all.length === 0) throw new Error('no headers');
  const headerOf = (wanted: string): string | undefined => all.find(([name]) => name.toLowerCase() === wanted)?.[1];
  const { status, reason } = parseStatus(headerOf('status'), headerOf('location') !== undefined);
  const length = headerOf('content-length');
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw new Error(`a Content-Length of "${length}"`);
  return {
    status,
    reason,
    headers: all.filter(([name]) => name.toLowerCase() !== 'status' && !HOP_BY_HOP.has(name.toLowerCase())),
    bodyBytes: length === undefined ? undefined : Number(length),
  };
}

function parseStatus(line: string | undefined, hasLocation: boolean): { status: number; reason: string } {
  if (line === undefined) return { status: hasLocation ? 302 : 200, reason: '' };
  const [, code, reason] = /^([2-9]\d\d)(?:[ \t]+(.*))?$/.exec(line) ?? [];
  if (code === undefined) throw new Error(`a Status of "${line}"`);
  return { status: Number(code), reason: reason ?? '' };
}
