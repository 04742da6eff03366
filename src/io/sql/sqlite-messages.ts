/** What the I/O thread and a thread of SQLite say to each other. */
import type { Outcome, Residue, TransactionState } from './sql.js';
import type { SqliteSettings } from './sqlite-engine.js';
import type { SqliteStatement } from './sqlite-statement.js';

export interface SqliteThreadData {
  readonly settings: SqliteSettings;
  /** One word: the number of the last call that is to be broken off. */
  readonly cancelled: SharedArrayBuffer;
}

export type SqliteCall = { readonly number: number } & (
  | { readonly kind: 'execute'; readonly statement: SqliteStatement; readonly maxBytes: number | undefined }
  | { readonly kind: 'openCursor'; readonly cursor: number; readonly statement: SqliteStatement }
  | { readonly kind: 'fetch'; readonly cursor: number; readonly maxRows: number; readonly maxBytes: number }
  | { readonly kind: 'closeCursor'; readonly cursor: number }
  | { readonly kind: 'reset' }
  | { readonly kind: 'end' }
);

/** An error of the catalogue, as it crosses threads. */
export interface Failure {
  readonly code: string;
  readonly values: Readonly<Record<string, unknown>>;
  readonly sqlstate: string | undefined;
  readonly retry: boolean;
}

export interface SqliteAnswer {
  /** 0: the thread is ready, or could not open the file. */
  readonly number: number;
  readonly failure?: Failure | undefined;
  readonly outcome?: Outcome | undefined;
  /** Encoded ROWS. */
  readonly rows?: Uint8Array | undefined;
  readonly count?: number | undefined;
  readonly transaction: TransactionState;
  readonly residue: Residue;
}
