/**
 * How a kind of data source keeps locks: one step each to take, renew and give back the lease of a name. The clock that counts
 * is that of the server. Runs in the I/O thread.
 */
import { Action } from './protocol.js';
import { Run, type Source } from './source.js';
import type { SourceKind } from './sources.js';
import { Digits, type Rows, type Value, type ValueMap, ValueReader, ValueWriter } from './values.js';

/** The lease of a name as a server keeps it: it ends by itself, unless it is renewed. */
export interface LockServer {
  /** Gives a number that is larger than those of all leases of this name before; undefined while another owner has it. */
  take(name: string, owner: string, leaseMs: number): Promise<number | undefined>;
  /** Returns whether this owner still has it. */
  renew(name: string, owner: string, leaseMs: number): Promise<boolean>;
  /** Returns whether this owner still had it. */
  release(name: string, owner: string): Promise<boolean>;
}

export function lockServerOf(kind: SourceKind, source: Source): LockServer {
  const calls = new SourceCalls(source);
  return kind === 'redis' ? new RedisLocks(calls) : new SqlLocks(calls, kind);
}

/** Operations of the server itself. They belong to no request, so they are not broken off when one ends. */
class SourceCalls {
  readonly #source: Source;
  readonly #run = new Run(0);

  constructor(source: Source) {
    this.#source = source;
  }

  command(...words: readonly string[]): Promise<Value> {
    return this.#call(Action.COMMAND, (writer) => writeTexts(writer, words));
  }

  /** The rows of a query. */
  async query(text: string, ...values: readonly (string | number)[]): Promise<readonly (readonly Value[])[]> {
    const rows = (await this.#call(Action.QUERY, (writer) => writeStatement(writer, text, values))) as Rows;
    return rows.rows;
  }

  /** How many rows a statement has changed. */
  async execute(text: string, ...values: readonly (string | number)[]): Promise<number> {
    const outcome = await this.#call(Action.EXECUTE, (writer) => writeStatement(writer, text, values));
    return numberOf((outcome as ValueMap).get('affected'));
  }

  #call(action: Action, write: (writer: ValueWriter) => void): Promise<Value> {
    const writer = new ValueWriter();
    write(writer);
    return new Promise((resolve, reject) => {
      this.#source.start({
        run: this.#run,
        action,
        script: 0,
        limitMs: 0,
        handle: 0,
        body: writer.take(),
        done: (result) => resolve(new ValueReader(result).read()),
        fail: reject,
      });
    });
  }
}

function writeTexts(writer: ValueWriter, texts: readonly string[]): void {
  writer.array(texts.length);
  for (const text of texts) writer.string(Buffer.from(text, 'latin1'));
}

function writeStatement(writer: ValueWriter, text: string, values: readonly (string | number)[]): void {
  writer.text(text);
  writer.array(values.length);
  for (const value of values) {
    if (typeof value === 'number') writer.number(value);
    else writer.string(Buffer.from(value, 'latin1'));
  }
}

/** Whole numbers come as they are, or in digits. */
function numberOf(value: Value): number {
  if (value instanceof Digits) return Number(value.text);
  return Number(Buffer.isBuffer(value) ? value.toString('latin1') : value);
}

const TAKE = `if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return redis.call('INCR', KEYS[2]) end return 0`;
const RENEW = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`;
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

/** A key for each lock that is held, and one that counts. The braces keep them on one server of a cluster. */
class RedisLocks implements LockServer {
  readonly #calls: SourceCalls;

  constructor(calls: SourceCalls) {
    this.#calls = calls;
  }

  async take(name: string, owner: string, leaseMs: number): Promise<number | undefined> {
    const reply = await this.#calls.command(
      'EVAL',
      TAKE,
      '2',
      keyOf(name),
      '{luafcgid:locks}:last',
      owner,
      `${leaseMs}`,
    );
    return numberOf(reply) || undefined;
  }

  async renew(name: string, owner: string, leaseMs: number): Promise<boolean> {
    return numberOf(await this.#calls.command('EVAL', RENEW, '1', keyOf(name), owner, `${leaseMs}`)) === 1;
  }

  async release(name: string, owner: string): Promise<boolean> {
    return numberOf(await this.#calls.command('EVAL', RELEASE, '1', keyOf(name), owner)) === 1;
  }
}

function keyOf(name: string): string {
  return `{luafcgid:locks}:of:${name}`;
}

/** What differs between databases: the time of the server in milliseconds, and the larger one of two numbers. */
const DIALECTS = {
  postgres: { nowMs: '(extract(epoch from clock_timestamp()) * 1000)::bigint', greatest: 'greatest' },
  mysql: { nowMs: 'cast(unix_timestamp(sysdate(3)) * 1000 as unsigned)', greatest: 'greatest' },
  sqlite: { nowMs: "cast((julianday('now') - 2440587.5) * 86400000 as integer)", greatest: 'max' },
} as const;

/**
 * A row for each lock that is held. Its number begins with the time, so that it grows even though the row is removed with the
 * lock. Names are hexadecimal, and owners letters, so that no collation takes two for one.
 */
class SqlLocks implements LockServer {
  readonly #calls: SourceCalls;
  readonly #kind: keyof typeof DIALECTS;
  #isPrepared = false;

  constructor(calls: SourceCalls, kind: keyof typeof DIALECTS) {
    this.#calls = calls;
    this.#kind = kind;
  }

  async take(name: string, owner: string, leaseMs: number): Promise<number | undefined> {
    await this.#prepare();
    const { nowMs, greatest } = DIALECTS[this.#kind];
    const key = hexOf(name);
    if (this.#kind === 'mysql') {
      // Assignments are done from left to right: what the others look at is changed last.
      await this.#calls.execute(
        `insert into luafcgid_locks (name, owner, token, until_ms) values (?, ?, ${nowMs}, ${nowMs} + ?)
        on duplicate key update
          token = if(until_ms < ${nowMs}, greatest(token + 1, ${nowMs}), token),
          owner = if(until_ms < ${nowMs}, values(owner), owner),
          until_ms = if(until_ms < ${nowMs}, values(until_ms), until_ms)`,
        key,
        owner,
        leaseMs,
      );
      const rows = await this.#calls.query('select token from luafcgid_locks where name = ? and owner = ?', key, owner);
      return rows.length === 0 ? undefined : numberOf(rows[0]?.[0]);
    }
    const rows = await this.#calls.query(
      `insert into luafcgid_locks (name, owner, token, until_ms) values (?, ?, ${nowMs}, ${nowMs} + ?)
      on conflict (name) do update set owner = excluded.owner,
        token = ${greatest}(luafcgid_locks.token + 1, excluded.token), until_ms = excluded.until_ms
      where luafcgid_locks.until_ms < ${nowMs} returning token`,
      key,
      owner,
      leaseMs,
    );
    return rows.length === 0 ? undefined : numberOf(rows[0]?.[0]);
  }

  async renew(name: string, owner: string, leaseMs: number): Promise<boolean> {
    const { nowMs } = DIALECTS[this.#kind];
    const text = `update luafcgid_locks set until_ms = ${nowMs} + ? where name = ? and owner = ? and until_ms >= ${nowMs}`;
    return (await this.#calls.execute(text, leaseMs, hexOf(name), owner)) === 1;
  }

  async release(name: string, owner: string): Promise<boolean> {
    const { nowMs } = DIALECTS[this.#kind];
    const held = `select 1 from luafcgid_locks where name = ? and owner = ? and until_ms >= ${nowMs}`;
    const wasHeld = (await this.#calls.query(held, hexOf(name), owner)).length === 1;
    const text = 'delete from luafcgid_locks where name = ? and owner = ?';
    return (await this.#calls.execute(text, hexOf(name), owner)) === 1 && wasHeld;
  }

  /** Makes the table if it is not there. Another server may do the same at this moment. */
  async #prepare(): Promise<void> {
    if (this.#isPrepared) return;
    const look = (): Promise<unknown> => this.#calls.query("select token from luafcgid_locks where name = ''");
    try {
      await look();
    } catch {
      try {
        await this.#calls.execute(
          `create table luafcgid_locks (name varchar(512) primary key, owner varchar(64) not null,
          token bigint not null, until_ms bigint not null)`,
        );
      } catch (error) {
        await look().catch(() => {
          throw error;
        });
      }
    }
    this.#isPrepared = true;
  }
}

function hexOf(name: string): string {
  return Buffer.from(name, 'latin1').toString('hex');
}
