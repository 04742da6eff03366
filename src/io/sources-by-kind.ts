/** The kinds of data source that the I/O thread knows. A new kind is a class that is a `Source`, and a line here. */
import { HttpSource } from './http/http-source.js';
import { LockingSource } from './lock-leases.js';
import { RedisSource } from './redis/redis-source.js';
import type { Log, Source } from './source.js';
import type { IoSource } from './sources.js';
import { MysqlDriver } from './sql/mysql.js';
import { PostgresDriver } from './sql/postgres.js';
import { SqlSource } from './sql/sql-source.js';
import { SqliteSource } from './sql/sqlite-source.js';

/** A data source, which also has locks, or the HTTP client. */
export function createSource(settings: IoSource, log: Log): Source {
  const source = sourceOf(settings, log);
  return settings.kind === 'http' ? source : new LockingSource(source, settings.kind);
}

function sourceOf(settings: IoSource, log: Log): Source {
  switch (settings.kind) {
    case 'postgres':
      return new SqlSource(settings, new PostgresDriver(settings), log);
    case 'mysql':
      return new SqlSource(settings, new MysqlDriver(settings), log);
    case 'sqlite':
      return new SqliteSource(settings, log);
    case 'redis':
      return new RedisSource(settings, log);
    case 'http':
      return new HttpSource(settings, log);
  }
}
