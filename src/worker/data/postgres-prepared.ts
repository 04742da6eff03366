/** The statements that are prepared on one connection. Pure. */
import type { Column } from './postgres-messages.js';

/** Statements that a connection keeps prepared. */
const PREPARED_AT_MOST = 50;

export interface Prepared {
  readonly name: string;
  /** Types of its parameters, and columns of its result, once the server has told them. */
  types: readonly number[] | undefined;
  columns: readonly Column[] | undefined;
}

export class PreparedStatements {
  /** By their texts; the one used last comes last. */
  readonly #statements = new Map<string, Prepared>();
  /** Names that the server need not know any more. */
  #closed: string[] = [];
  #lastName = 0;

  /** The statement of a text. `isNew`: it has to be prepared. `closed`: names to be closed before. */
  take(text: string): { readonly prepared: Prepared; readonly isNew: boolean; readonly closed: readonly string[] } {
    const known = this.#statements.get(text);
    this.#lastName += known === undefined ? 1 : 0;
    // Unlike the names that the I/O thread gives on the same connection.
    const prepared = known ?? { name: `w${this.#lastName}`, types: undefined, columns: undefined };
    this.#statements.delete(text);
    this.#statements.set(text, prepared);
    if (this.#statements.size > PREPARED_AT_MOST) this.#close(this.#statements.keys().next().value as string);
    const closed = this.#closed;
    this.#closed = [];
    return { prepared, isNew: known === undefined, closed };
  }

  /** A statement has failed: it is prepared anew when it comes again. @param all the server has forgotten all of them */
  forget(text: string, all: boolean): void {
    if (all) this.#statements.clear();
    else this.#close(text);
  }

  #close(text: string): void {
    const prepared = this.#statements.get(text);
    if (prepared === undefined) return;
    this.#statements.delete(text);
    this.#closed.push(prepared.name);
  }
}
