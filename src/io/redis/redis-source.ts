/**
 * Redis as scripts use it: commands, pipelines and transactions that are sent as a whole. Many runs share a connection, since
 * Redis answers in the order in which it is asked; a run holds nothing. Runs in the I/O thread.
 */
import { LuafcgidError } from '../../base/errors.js';
import { systemClock } from '../clock.js';
import { SourceLoans } from '../lending/source-loans.js';
import { Pool } from '../pool/pool.js';
import { refusalError } from '../pool/refusals.js';
import { Action, DataError, Return } from '../protocol.js';
import type { Log, Operation, Source, SourceStatus } from '../source.js';
import type { ResolvedSource } from '../sources.js';
import { Bytes, Digits, type Value, ValueReader, ValueWriter } from '../values.js';
import { refusalOf } from './commands.js';
import { LendableConnections } from './lendable-connections.js';
import { RedisConnection } from './redis-client.js';
import { errorCodeOf, RETRY, type Reply, writeReply } from './replies.js';

/** Operations that are on their way on one connection at the same time. */
const LANES = 64;
const MAX_AGE_MS = 3_600_000;

/** A connection with those who use it. */
interface Shared {
  readonly connection: Promise<RedisConnection>;
  readonly lanes: Set<Lane>;
}

/** A place on a connection: what the pool counts. */
interface Lane {
  readonly shared: Shared;
  readonly connection: RedisConnection;
}

export class RedisSource implements Source {
  readonly name: string;
  readonly #settings: ResolvedSource;
  readonly #log: Log;
  readonly #pool: Pool<Lane>;
  /** Those that are open or being opened. */
  readonly #shared = new Set<Shared & { taken: number }>();
  /** Undefined where no connections are lent: encrypted ones have keys that only this thread has. */
  readonly lending: SourceLoans | undefined;
  readonly #lendable: LendableConnections;

  constructor(settings: ResolvedSource, log: Log) {
    this.name = settings.name;
    this.#settings = settings;
    this.#log = log;
    const mayHave = (): number => settings.connections - this.#lendable.open;
    this.#pool = new Pool<Lane>(
      {
        ...settings,
        get connections() {
          return mayHave() * LANES;
        },
        maxAgeMs: MAX_AGE_MS,
        waitingElsewhere: () => this.lending?.counts.inWorkers() ?? 0,
      },
      {
        connect: (opened, failed) => void this.#connect(opened, failed),
        close: (lane, closed) => void this.#leave(lane).finally(closed),
        waitingChanged: () => this.lending?.noteWaiting(),
      },
      systemClock,
    );
    this.#lendable = new LendableConnections(settings, {
      closed: () => this.#pool.serveAgain(),
      lost: (reason) => log('warn', `data source ${this.name}: a connection was lost: ${reason}`),
    });
    if (settings.tls.mode === 'off') this.lending = this.#createLoans();
  }

  start(operation: Operation): void {
    this.#perform(operation).then(
      (result) => operation.done(result),
      (error) => operation.fail(error),
    );
  }

  status(): SourceStatus {
    const { down } = this.#pool;
    const { connections, queue } = this.#settings;
    const open = this.#shared.size + this.#lendable.open;
    const busy = this.#pool.busy + (this.lending?.count ?? 0) - (this.lending?.unused ?? 0);
    const waiting = this.#pool.waiting + (this.lending?.counts.inWorkers() ?? 0);
    return { name: this.name, kind: 'redis', open, busy, waiting, connections, queue, down: down?.message };
  }

  async probe(): Promise<string> {
    const connection = await RedisConnection.open(this.#settings, () => {});
    try {
      const reply = await connection.send(['INFO', 'server']);
      return /^(?:redis|valkey)_version:(\S+)/m.exec(String(reply))?.[1] ?? 'of an unknown version';
    } catch (error) {
      throw this.#errorOf(connection, error);
    } finally {
      await connection.end();
    }
  }

  async close(): Promise<void> {
    this.lending?.close();
    await Promise.all([this.#pool.close(), this.#lendable.close()]);
  }

  #createLoans(): SourceLoans {
    const pool = this.#pool;
    const shared = this.#shared;
    return new SourceLoans({
      take: (got, failed) => {
        if (pool.down !== undefined) return false;
        // One stays here: with none, whatever comes here would take back what is lent.
        if (this.#lendable.take(Math.max(1, shared.size), got, failed)) return true;
        // The places may be those of connections which nobody uses.
        if (pool.busy === 0 && pool.waiting === 0 && shared.size > 1) pool.closeIdle();
        return false;
      },
      giveUp: (connection) => connection.comeBack(Return.FIT, ''),
      get waiting() {
        return pool.waiting;
      },
      get own() {
        return shared.size;
      },
    });
  }

  async #perform(operation: Operation): Promise<Uint8Array> {
    const commands = this.#commandsOf(operation);
    const lane = await this.#acquire(operation);
    const limitMs =
      operation.limitMs > 0 ? Math.min(operation.limitMs, this.#settings.queryMs) : this.#settings.queryMs;
    let late: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      late = setTimeout(() => {
        const values = { source: this.name, seconds: limitMs / 1000 };
        reject(new DataError('LUAFCGID_DATA_TIMEOUT', values, { retry: true }));
        // What others have sent behind it would wait as well.
        lane.connection.destroy();
      }, limitMs);
    });
    const replies = this.#send(lane.connection, operation.action, commands);
    // The place is free when the answer has come, also when nobody waits for it any more.
    void replies.then(
      () => this.#pool.release(lane),
      () => this.#pool.release(lane),
    );
    try {
      return this.#encode(await Promise.race([replies, tooLate]));
    } finally {
      clearTimeout(late);
    }
  }

  async #send(connection: RedisConnection, action: Action, commands: readonly (readonly Buffer[])[]): Promise<Reply> {
    if (action === Action.COMMAND)
      return connection.send(commands[0] as readonly Buffer[]).catch((error) => {
        throw this.#errorOf(connection, error);
      });
    if (action === Action.PIPELINE) {
      return Promise.all(
        commands.map((words) => connection.send(words).catch((error) => this.#asReply(connection, error))),
      );
    }
    // All of it is sent in this turn, so nothing of others comes in between.
    const sent = [['MULTI'], ...commands, ['EXEC']].map((words) =>
      connection.send(words).catch((error: Error) => error),
    );
    const replies = (await Promise.all(sent)) as (Reply | Error)[];
    const result = replies[replies.length - 1] as Reply | Error;
    if (!(result instanceof Error)) return result;
    // EXEC only says that there was an error before.
    throw this.#errorOf(connection, replies.find((reply) => reply instanceof Error) ?? result);
  }

  /** An error of one command of a pipeline is its reply; a connection that is lost fails all. */
  #asReply(connection: RedisConnection, error: unknown): Reply {
    const known = this.#errorOf(connection, error);
    if (known.code === 'LUAFCGID_DATA_LOST') throw known;
    return error as Error;
  }

  #errorOf(connection: RedisConnection, error: unknown): DataError {
    if (error instanceof DataError) return error;
    const { message } = error as Error;
    const code = errorCodeOf(message);
    // What the package itself says is about the connection.
    if (!connection.isServerError(error)) {
      return new DataError('LUAFCGID_DATA_LOST', { source: this.name, reason: message }, { retry: true });
    }
    const retry = code !== undefined && RETRY.has(code);
    return new DataError('LUAFCGID_DATA_QUERY', { source: this.name, reason: message }, { sqlstate: code, retry });
  }

  #encode(reply: Reply): Uint8Array {
    const writer = new ValueWriter();
    writeReply(writer, reply);
    if (writer.byteLength > this.#settings.maxResultBytes) {
      throw new DataError('LUAFCGID_DATA_RESULT_SIZE', { source: this.name });
    }
    return writer.take();
  }

  #commandsOf({ action, body }: Operation): (readonly Buffer[])[] {
    const value = new ValueReader(body).read();
    const isSeveral = action === Action.PIPELINE || action === Action.MULTI;
    if (!isSeveral && action !== Action.COMMAND) {
      throw new LuafcgidError('LUAFCGID_DATA_ACTION', { source: this.name, action });
    }
    const commands = (isSeveral ? value : [value]) as readonly Value[];
    if (!Array.isArray(commands)) throw wrong('a pipeline is a list of commands');
    return commands.map((command) => {
      if (!Array.isArray(command)) throw wrong('a command is a list of words');
      const words = command.map(toWord);
      const reason = refusalOf(words.map((word) => word.toString('latin1')));
      if (reason === undefined) return words;
      throw new DataError('LUAFCGID_DATA_COMMAND', {
        source: this.name,
        command: words[0]?.toString('latin1'),
        reason,
      });
    });
  }

  #acquire({ run, script, limitMs }: Operation): Promise<Lane> {
    return new Promise((resolve, reject) => {
      let giveUp = (): void => {};
      const hold = {
        release: () => {
          giveUp();
          reject(new LuafcgidError('LUAFCGID_DATA_RUN_OVER'));
        },
      };
      run.add(hold);
      giveUp = this.#pool.acquire({
        script,
        limitMs,
        got: (lane) => {
          run.remove(hold);
          if (run.isOver) this.#pool.release(lane);
          else resolve(lane);
        },
        refused: (refusal) => {
          run.remove(hold);
          reject(refusalError(this.#settings, refusal));
        },
      });
      if (run.isOver) giveUp();
    });
  }

  /** Gives a place on a connection that has one, or on a new one. */
  async #connect(opened: (lane: Lane) => void, failed: (error: Error) => void): Promise<void> {
    let shared = [...this.#shared].find(({ taken }) => taken < LANES);
    if (shared === undefined) {
      const lanes = new Set<Lane>();
      const own: Shared & { taken: number } = {
        lanes,
        taken: 0,
        connection: RedisConnection.open(this.#settings, (reason) => this.#lost(own, reason)),
      };
      shared = own;
      this.#shared.add(own);
    }
    shared.taken += 1;
    try {
      const connection = await shared.connection;
      if (!connection.isOpen)
        throw new DataError('LUAFCGID_DATA_CONNECT', { source: this.name, reason: 'it was closed' });
      const lane: Lane = { shared, connection };
      shared.lanes.add(lane);
      opened(lane);
    } catch (error) {
      this.#shared.delete(shared);
      failed(error as Error);
    }
  }

  #lost(shared: Shared & { taken: number }, reason: string): void {
    if (!this.#shared.delete(shared)) return;
    this.#log('warn', `data source ${this.name}: a connection was lost: ${reason}`);
    for (const lane of [...shared.lanes]) this.#pool.lost(lane);
  }

  /** A place is given up; the last one closes its connection. */
  async #leave({ shared, connection }: Lane): Promise<void> {
    const own = shared as Shared & { taken: number };
    own.taken -= 1;
    if (own.taken > 0) return;
    this.#shared.delete(own);
    await connection.end();
  }
}

const wrong = (reason: string): LuafcgidError => new LuafcgidError('LUAFCGID_DATA_ARGUMENT', { reason });

/** Arguments are bytes; numbers go as Lua writes them. */
function toWord(value: Value): Buffer {
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (value instanceof Bytes) return Buffer.from(value.value);
  if (value instanceof Digits) return Buffer.from(value.text);
  if (typeof value === 'number' && Number.isFinite(value)) return Buffer.from(String(value));
  throw wrong('the words of a command are strings and numbers');
}
