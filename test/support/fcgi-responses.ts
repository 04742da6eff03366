/**
 * The answers on one FastCGI connection, put together per request id and held against the specification: what a
 * Responder may send, in which order, and how often.
 */
import { type FcgiRecord, PROTOCOL_STATUS, TYPE, typeName } from './fcgi-wire.js';

/** One finished request as it came over the wire. */
export interface FcgiResponse {
  readonly id: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly appStatus: number;
  readonly protocolStatus: number;
}

interface OpenRequest {
  readonly stdout: Buffer[];
  readonly stderr: Buffer[];
  stdoutEnded: boolean;
  stderrUsed: boolean;
  stderrEnded: boolean;
  aborted: boolean;
}

/** Output taken as it comes instead of being collected. */
type Sink = (id: number, type: number, content: Buffer) => void;

export class ResponseBook {
  readonly #open = new Map<number, OpenRequest>();
  readonly #done: FcgiResponse[] = [];
  readonly #violation: (text: string) => void;
  readonly #sink: Sink | undefined;
  #trustsAnyId = false;

  constructor(violation: (text: string) => void, sink?: Sink) {
    this.#violation = violation;
    this.#sink = sink;
  }

  /** BEGIN_REQUEST was sent. A second one for an id in use is the test's own mischief and changes nothing. */
  begun(id: number): void {
    if (!this.#open.has(id)) this.#open.set(id, newRequest());
  }

  aborted(id: number): void {
    const request = this.#open.get(id);
    if (request) request.aborted = true;
  }

  /** The client sent bytes it cannot read itself: from now on an unknown id is no violation. */
  trustAnyId(): void {
    this.#trustsAnyId = true;
  }

  /** Takes a record from the application. */
  add(record: FcgiRecord): void {
    if (record.version !== 1) this.#violation(`${name(record)} has version ${record.version}`);
    if (record.reserved !== 0) this.#violation(`${name(record)} has a reserved byte of ${record.reserved}`);
    if (record.id === 0) this.#addManagement(record);
    else this.#addApplication(record);
  }

  /** The oldest finished request of that id, once only. */
  takeResponse(id: number): FcgiResponse | undefined {
    const index = this.#done.findIndex((response) => response.id === id);
    return index < 0 ? undefined : this.#done.splice(index, 1)[0];
  }

  /** STDOUT of a request that runs, or of the finished one that nobody has taken. */
  stdoutSoFar(id: number): Buffer | undefined {
    const done = this.#done.find((response) => response.id === id);
    if (done) return done.stdout;
    const request = this.#open.get(id);
    return request && Buffer.concat(request.stdout);
  }

  describe(): string {
    return [...this.#open]
      .map(([id, { stdout, stderr }]) => `request ${id} open with ${excerpt(stdout)}, STDERR ${excerpt(stderr)}`)
      .join('; ');
  }

  #addManagement(record: FcgiRecord): void {
    if (record.type === TYPE.UNKNOWN_TYPE) {
      if (record.content.length !== 8) this.#violation(`UNKNOWN_TYPE with ${record.content.length} bytes, not 8`);
      if (record.content.subarray(1).some((byte) => byte !== 0))
        this.#violation('UNKNOWN_TYPE with reserved bytes set');
    } else if (record.type !== TYPE.GET_VALUES_RESULT) {
      this.#violation(`${name(record)} is no management record of an application`);
    }
  }

  #addApplication(record: FcgiRecord): void {
    let request = this.#open.get(record.id);
    if (!request) {
      if (!this.#trustsAnyId) {
        this.#violation(`${name(record)} of ${record.content.length} bytes for a request that is not active`);
        return;
      }
      request = newRequest();
      this.#open.set(record.id, request);
    }
    if (record.type === TYPE.STDOUT) this.#addStdout(record, request);
    else if (record.type === TYPE.STDERR) this.#addStderr(record, request);
    else if (record.type === TYPE.END_REQUEST) this.#end(record, request);
    else this.#violation(`${name(record)} is not for an application to send`);
  }

  #addStdout(record: FcgiRecord, request: OpenRequest): void {
    if (request.stdoutEnded) this.#violation(`${name(record)} after the end of STDOUT`);
    if (record.content.length === 0) request.stdoutEnded = true;
    else if (this.#sink) this.#sink(record.id, record.type, record.content);
    else request.stdout.push(record.content);
  }

  #addStderr(record: FcgiRecord, request: OpenRequest): void {
    if (request.stderrEnded) this.#violation(`${name(record)} after the end of STDERR`);
    request.stderrUsed = true;
    if (record.content.length === 0) request.stderrEnded = true;
    else if (this.#sink) this.#sink(record.id, record.type, record.content);
    else request.stderr.push(record.content);
  }

  #end(record: FcgiRecord, request: OpenRequest): void {
    const { id, content } = record;
    this.#open.delete(id);
    if (content.length !== 8) {
      this.#violation(`${name(record)} with ${content.length} bytes, not 8`);
      return;
    }
    const protocolStatus = content.readUInt8(4);
    if (protocolStatus > 3) this.#violation(`${name(record)} with protocolStatus ${protocolStatus}`);
    if (content.subarray(5).some((byte) => byte !== 0)) this.#violation(`${name(record)} with reserved bytes set`);
    // A request that was refused or aborted need not have begun its streams (5.4, 5.5).
    const answered = protocolStatus === PROTOCOL_STATUS.REQUEST_COMPLETE && !request.aborted;
    if (answered && !request.stdoutEnded) this.#violation(`${name(record)} before the end of STDOUT`);
    if (answered && request.stderrUsed && !request.stderrEnded) {
      this.#violation(`${name(record)} before the end of STDERR`);
    }
    this.#done.push({
      id,
      stdout: Buffer.concat(request.stdout),
      stderr: Buffer.concat(request.stderr),
      appStatus: content.readUInt32BE(0),
      protocolStatus,
    });
  }
}

function newRequest(): OpenRequest {
  return { stdout: [], stderr: [], stdoutEnded: false, stderrUsed: false, stderrEnded: false, aborted: false };
}

function name(record: FcgiRecord): string {
  return `${typeName(record.type)} of id ${record.id}`;
}

function excerpt(parts: readonly Buffer[]): string {
  const bytes = Buffer.concat(parts);
  return `${bytes.length} bytes${bytes.length > 0 ? ` ${JSON.stringify(bytes.toString('latin1', 0, 120))}` : ''}`;
}
