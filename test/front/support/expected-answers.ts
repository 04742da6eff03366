/**
 * What each client must get, as a model that knows nothing of how the front works: for each request that has begun one
 * answer, which is what its script has said and nothing else; or, if no script has said anything, a page or a refusal.
 */
import assert from 'node:assert/strict';
import { PROTOCOL_STATUS, RecordReader, ROLE, TYPE } from '../../support/fcgi-wire.js';
import type { Peer } from './rig.js';

/** What the script of one request has said so far. */
interface Said {
  text: string;
  /** It has ended its answer: what comes later is for nobody. */
  isComplete: boolean;
  /** Some of it went down with its worker. */
  isCut: boolean;
}

/** What scripts have said, by the tags of their requests. */
export class ScriptsSaid {
  readonly #said = new Map<string, Said>();

  say(tag: string, text: string): void {
    const said = this.of(tag);
    if (!said.isComplete) said.text += text;
  }

  complete(tag: string): void {
    this.of(tag).isComplete = true;
  }

  cut(tag: string): void {
    this.of(tag).isCut = true;
  }

  /** A request whose script never ran has said nothing. */
  of(tag: string): Said {
    const said = this.#said.get(tag) ?? { text: '', isComplete: false, isCut: false };
    this.#said.set(tag, said);
    return said;
  }
}

/** Reads what was sent on a connection, to know which requests have begun on it. */
export class BegunRequests {
  readonly #reader = new RecordReader();
  readonly #ids: number[] = [];
  /** Begun by the bytes noted last. */
  readonly #latest: number[] = [];
  readonly #late = new Set<number>();
  readonly #aborted = new Set<number>();
  #isReadable = true;

  /** The connection was closed while the last bytes were read: what they began came after its last request. */
  noteClosed(): void {
    for (const id of this.#latest) this.#late.add(id);
  }

  note(bytes: Uint8Array): void {
    this.#latest.length = 0;
    if (!this.#isReadable) return;
    try {
      for (const { type, id } of this.#reader.push(Buffer.from(bytes))) {
        if (type === TYPE.BEGIN_REQUEST) this.#latest.push(id);
        if (type === TYPE.BEGIN_REQUEST) this.#ids.push(id);
        if (type === TYPE.ABORT_REQUEST) this.#aborted.add(id);
      }
    } catch {
      // Garbage: nobody knows what comes after it.
      this.#isReadable = false;
    }
  }

  /** Nothing was asked for. */
  get isEmpty(): boolean {
    return this.#ids.length === 0;
  }

  /** How often an id was begun. */
  count(id: number): number {
    return this.#ids.filter((each) => each === id).length;
  }

  /** Whether it may have come too late to be answered. */
  isLate(id: number): boolean {
    return this.#late.has(id);
  }

  isAborted(id: number): boolean {
    return this.#aborted.has(id);
  }
}

/** An answer as it came: what was on STDOUT, and how it ended. */
interface Came {
  text: string;
  protocolStatus: number | undefined;
}

/** The answers on a connection by id, those of an id that was used again one after the other. */
function answersOn(peer: Peer): Map<number, Came[]> {
  const answers = new Map<number, Came[]>();
  for (const { type, id, content } of peer.records) {
    if (type !== TYPE.STDOUT && type !== TYPE.END_REQUEST) continue;
    const list = answers.get(id) ?? [];
    answers.set(id, list);
    if (list.length === 0 || list.at(-1)?.protocolStatus !== undefined)
      list.push({ text: '', protocolStatus: undefined });
    const last = list.at(-1) as Came;
    if (type === TYPE.STDOUT) last.text += content.toString('latin1');
    else last.protocolStatus = content[4];
  }
  return answers;
}

interface OwnRequest {
  readonly tag: string;
  readonly fcgiId: number;
  readonly role: number;
}

const PAGE = /^Status: [45]\d\d [^\r\n]+\r\n/;

/**
 * Checks what has come on a connection against the model.
 * @param mustBeAnswered of the requests that have begun those that must have their answer by now; undefined: none must
 */
export function checkOwnAnswers(
  peer: Peer,
  requests: readonly OwnRequest[],
  begun: BegunRequests,
  said: ScriptsSaid,
  mustBeAnswered: ((request: OwnRequest) => boolean) | undefined,
): void {
  const answers = answersOn(peer);
  for (const request of requests) {
    const { tag, fcgiId, role } = request;
    // Under an id that two of them have, each of the two answers may be either's.
    if (requests.filter((other) => other.fcgiId === fcgiId).length > 1) continue;
    const came = answers.get(fcgiId) ?? [];
    const where = `request ${tag}, id ${fcgiId} of connection ${peer.id}`;
    assert.ok(came.length <= begun.count(fcgiId), `${where}: ${came.length} answers, ${begun.count(fcgiId)} begun`);
    const [answer] = came;
    const hasEnded = answer?.protocolStatus !== undefined;
    if (begun.count(fcgiId) > 0 && !begun.isLate(fcgiId) && mustBeAnswered?.(request))
      assert.ok(hasEnded, `${where}: no answer`);
    if (answer === undefined) continue;
    if (role !== ROLE.RESPONDER && role !== ROLE.FILTER) checkNotSilent(answer, said.of(tag), where);
    checkText(answer, said.of(tag), begun.isAborted(fcgiId), where);
  }
}

/** Silence would be a yes of an Authorizer: only its script may end it so (fidelity D-C1). */
function checkNotSilent({ text, protocolStatus }: Came, said: Said, where: string): void {
  if (protocolStatus === undefined || text !== '') return;
  assert.ok(said.isComplete && said.text === '', `${where}: ended without a status`);
}

function checkText({ text, protocolStatus }: Came, said: Said, isAborted: boolean, where: string): void {
  if (protocolStatus === undefined || isAborted || said.isCut) {
    // As far as it has come, or as far as it was wanted.
    assert.ok(said.text.startsWith(text) || PAGE.test(text), `${where}: ${text}\n is no part of ${said.text}`);
    return;
  }
  if (protocolStatus !== PROTOCOL_STATUS.REQUEST_COMPLETE) {
    assert.ok(said.text === '' && (text === '' || PAGE.test(text)), `${where}: refused by the protocol: ${text}`);
    return;
  }
  if (said.isComplete) return assert.equal(text, said.text, where);
  // Its worker was lost, or it never ran: what there was of its answer, or a page in its place.
  if (PAGE.test(text)) return;
  assert.ok(
    text.length > 0 && said.text.startsWith(text),
    `${where}: ${text}\n is neither page nor part of ${said.text}`,
  );
}
