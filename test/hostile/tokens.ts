/** Tokens that tell whose bytes an answer has: each request has one, and no answer may hold that of another script's request. */
import type { Random } from '../fuzz/random.js';

const TOKEN = /tok[0-9a-f]{16}ken/g;
/** Longest part of a token at the end of a piece of an answer. */
const TOKEN_BYTES = 22;

export class Tokens {
  readonly #random: Random;
  /** Tokens that were given, and the scripts that they were sent to. */
  readonly #scripts = new Map<string, string>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** A new token for a request of a script. */
  next(script: string): string {
    const digits = Array.from({ length: 4 }, () => this.#random.below(65_536).toString(16).padStart(4, '0'));
    const token = `tok${digits.join('')}ken`;
    this.#scripts.set(token, script);
    return token;
  }

  /** The first token in a text that was not sent to this script, with the script that it was sent to. */
  foreign(text: string, script: string): string | undefined {
    for (const [token] of text.matchAll(TOKEN)) {
      const owner = this.#scripts.get(token);
      if (owner !== undefined && owner !== script) return `${token}, which was sent to ${owner}`;
    }
    return undefined;
  }
}

/** Looks for foreign tokens in an answer as it comes, so that its size does not matter. */
export class AnswerScan {
  readonly #tokens: Tokens;
  readonly #script: string;
  #last = '';
  foreign: string | undefined;

  constructor(tokens: Tokens, script: string) {
    this.#tokens = tokens;
    this.#script = script;
  }

  add(piece: Buffer): void {
    const text = this.#last + piece.toString('latin1');
    this.foreign ??= this.#tokens.foreign(text, this.#script);
    this.#last = text.slice(-TOKEN_BYTES);
  }
}
