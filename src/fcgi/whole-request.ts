/**
 * Looks whether bytes are exactly one request, as web servers send most of them: for a Responder (section 5.1), its
 * parameters in one record, a body that is there, and nothing else. All else is left to the session.
 */
import { HEADER_BYTES, KEEP_CONN, RecordType, Role, VERSION } from './constants.js';

export interface WholeRequest {
  readonly requestId: number;
  /** The connection stays open after it. */
  readonly keepsConnection: boolean;
  /** Encoded pairs: a view into the bytes. */
  readonly params: Uint8Array;
  /** The pieces of the body, views into the bytes. */
  readonly body: readonly Uint8Array[];
  readonly bodyBytes: number;
}

const BEGIN_BYTES = HEADER_BYTES + 8;
const NO_BODY: readonly Uint8Array[] = [];

/** The request that the bytes are; undefined when they are anything else, or more, or less. */
export function findWholeRequest(bytes: Uint8Array): WholeRequest | undefined {
  if (bytes.length < BEGIN_BYTES + 3 * HEADER_BYTES) return undefined;
  const isBegin = bytes[0] === VERSION && bytes[1] === RecordType.BEGIN_REQUEST && lengthAt(bytes, 0) === 8;
  if (!isBegin || bytes[6] !== 0) return undefined;
  const role = ((bytes[8] as number) << 8) | (bytes[9] as number);
  const requestId = idAt(bytes, 0);
  if (role !== Role.RESPONDER || requestId === 0) return undefined;
  const keepsConnection = ((bytes[10] as number) & KEEP_CONN) !== 0;

  let at = BEGIN_BYTES;
  const paramsBytes = contentOf(bytes, at, RecordType.PARAMS, requestId);
  if (paramsBytes <= 0) return undefined;
  const params = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + paramsBytes);
  at = endOf(bytes, at);
  if (contentOf(bytes, at, RecordType.PARAMS, requestId) !== 0) return undefined;
  at = endOf(bytes, at);

  let body = NO_BODY as Uint8Array[];
  let bodyBytes = 0;
  for (;;) {
    const count = contentOf(bytes, at, RecordType.STDIN, requestId);
    if (count < 0) return undefined;
    const end = endOf(bytes, at);
    if (count === 0) {
      return end === bytes.length ? { requestId, keepsConnection, params, body, bodyBytes } : undefined;
    }
    if (bodyBytes === 0) body = [];
    body.push(bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + count));
    bodyBytes += count;
    at = end;
  }
}

/** Content bytes of the record at `at` if that is of this type and request, and whole; otherwise -1. */
function contentOf(bytes: Uint8Array, at: number, type: number, requestId: number): number {
  if (at + HEADER_BYTES > bytes.length || bytes[at] !== VERSION || bytes[at + 1] !== type) return -1;
  if (idAt(bytes, at) !== requestId || endOf(bytes, at) > bytes.length) return -1;
  return lengthAt(bytes, at);
}

function endOf(bytes: Uint8Array, at: number): number {
  return at + HEADER_BYTES + lengthAt(bytes, at) + (bytes[at + 6] as number);
}

function idAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 4] as number) << 8) | (bytes[at + 5] as number);
}
