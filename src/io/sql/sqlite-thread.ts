/**
 * The entry of a thread of SQLite: one connection to one database. It does one call after the other; one that does not end
 * holds this thread and nothing else.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { LuafcgidError } from '../../base/errors.js';
import { DataError } from '../protocol.js';
import { ValueWriter } from '../values.js';
import { Residue, RowSink } from './sql.js';
import { findSqlite } from './sqlite-driver.js';
import { type EngineCursor, SqliteEngine } from './sqlite-engine.js';
import type { Failure, SqliteAnswer, SqliteCall, SqliteThreadData } from './sqlite-messages.js';

const { settings, cancelled } = workerData as SqliteThreadData;
const port = parentPort as MessagePort;
const lastCancelled = new Int32Array(cancelled);
const cursors = new Map<number, EngineCursor>();

function failureOf(error: unknown): Failure {
  if (error instanceof LuafcgidError) {
    const { code, values } = error;
    const { sqlstate, retry } = error instanceof DataError ? error : { sqlstate: undefined, retry: false };
    return { code, values, sqlstate, retry };
  }
  const detail = error instanceof Error ? error.stack : String(error);
  return { code: 'LUAFCGID_BUG', values: { detail }, sqlstate: undefined, retry: false };
}

type Result = Pick<SqliteAnswer, 'outcome' | 'rows' | 'count'>;

function perform(engine: SqliteEngine, call: SqliteCall): Result {
  const isCancelled = (): boolean => Atomics.load(lastCancelled, 0) === call.number;
  switch (call.kind) {
    case 'execute': {
      const sink = call.maxBytes === undefined ? undefined : new RowSink(new ValueWriter(), call.maxBytes);
      const outcome = engine.execute(call.statement, sink, isCancelled);
      return { outcome, rows: sink?.finish(), count: sink?.count };
    }
    case 'openCursor':
      cursors.set(call.cursor, engine.openCursor(call.statement));
      return {};
    case 'fetch': {
      const sink = new RowSink(new ValueWriter(), call.maxBytes);
      cursors.get(call.cursor)?.fetch(call.maxRows, sink, isCancelled);
      return { rows: sink.finish(), count: sink.count };
    }
    case 'closeCursor':
      cursors.get(call.cursor)?.close();
      cursors.delete(call.cursor);
      return {};
    case 'reset':
      cursors.clear();
      engine.reset();
      return {};
    case 'end':
      engine.close();
      port.close();
      return {};
  }
}

function answer(number: number, engine: SqliteEngine | undefined, act: () => Result): void {
  const isOpen = (): Pick<SqliteAnswer, 'transaction' | 'residue'> => ({
    transaction: engine?.transaction ?? 'none',
    residue: engine?.residue ?? Residue.NONE,
  });
  let result: SqliteAnswer;
  try {
    const given = act();
    result = { number, ...given, ...isOpen() };
  } catch (error) {
    result = { number, failure: failureOf(error), ...isOpen() };
  }
  port.postMessage(result);
}

async function run(): Promise<void> {
  let engine: SqliteEngine;
  try {
    engine = new SqliteEngine(await findSqlite(), settings);
  } catch (error) {
    port.postMessage({ number: 0, failure: failureOf(error), transaction: 'none', residue: Residue.NONE });
    return port.close();
  }
  port.on('message', (call: SqliteCall) => {
    if (call.kind === 'end') {
      perform(engine, call);
      return;
    }
    answer(call.number, engine, () => perform(engine, call));
  });
  answer(0, engine, () => ({}));
}

void run();
