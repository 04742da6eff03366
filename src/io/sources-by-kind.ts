/** The kinds of data source that the I/O thread knows. A new kind is a class that is a `Source`, and a line here. */
import type { Source } from './source.js';
import type { ResolvedSource } from './sources.js';
import { PostgresDriver } from './sql/postgres.js';
import { SqlSource } from './sql/sql-source.js';

export function createSource(
  settings: ResolvedSource,
  log: (level: 'info' | 'warn' | 'error', text: string) => void,
): Source {
  switch (settings.kind) {
    case 'postgres':
      return new SqlSource(settings, new PostgresDriver(settings), log);
    default:
      throw new Error(`no driver for ${settings.kind}`);
  }
}
