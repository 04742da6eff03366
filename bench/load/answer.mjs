/** Says whether an answer is the page that was asked for. */

/**
 * @typedef {object} Expectation what a right answer to a page is
 * @property {string} ending the last bytes of the page
 * @property {string} contains text that it has somewhere
 * @property {number} minBytes the least length of the body
 *
 * @typedef {object} Protocol how answers look on the wire
 * @property {(bytes: Buffer, from: number, length: number) => number} findEnd finds where the answer in the first
 *   `length` bytes ends; while it has not ended: minus 1 minus the place from which to look when there are more
 * @property {(answer: Buffer) => Page | string} decode the page of a whole answer, or what is wrong with it
 *
 * @typedef {object} Page
 * @property {string} status
 * @property {string} body
 */

/** @param {Page} page @param {Expectation} expected @returns {string | undefined} what is wrong with it */
export function pageFault({ status, body }, expected) {
  if (status !== '200') return `status ${status}: ${JSON.stringify(body.slice(0, 200))}`;
  if (body.length < expected.minBytes) return `${body.length} bytes, at least ${expected.minBytes} expected`;
  if (!body.endsWith(expected.ending)) return `ends with ${JSON.stringify(body.slice(-40))}`;
  if (!body.includes(expected.contains)) return `lacks ${JSON.stringify(expected.contains)}`;
  return undefined;
}

/**
 * Checks every answer of a run. One that equals, byte for byte, the last one that was found right is right: so all are
 * checked in full, nearly always at the price of one comparison of memory.
 */
export class AnswerCheck {
  /** @type {Protocol} */
  #protocol;
  /** @type {Expectation} */
  #expected;
  #known = Buffer.alloc(0);

  /** @param {Protocol} protocol @param {Expectation} expected */
  constructor(protocol, expected) {
    this.#protocol = protocol;
    this.#expected = expected;
  }

  /**
   * @param {Buffer} bytes
   * @param {number} length where the answer ends in them
   * @returns {string | undefined} what is wrong
   */
  fault(bytes, length) {
    if (length === this.#known.length && bytes.compare(this.#known, 0, length, 0, length) === 0) return undefined;
    const answer = Buffer.from(bytes.subarray(0, length));
    const page = this.#protocol.decode(answer);
    const fault = typeof page === 'string' ? page : pageFault(page, this.#expected);
    if (fault === undefined) this.#known = answer;
    return fault;
  }
}
