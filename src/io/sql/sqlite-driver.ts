/** The SQLite that this Node.js has, for whichever thread opens a database. */
import { loadDriver } from '../source.js';
import type { OpenDatabase } from './sqlite-engine.js';

interface SqliteModule {
  readonly DatabaseSync: new (file: string, options: object) => ReturnType<OpenDatabase>;
  readonly StatementSync: { readonly prototype: object };
}

/**
 * That of Node.js where it has all that is needed, else the package with the same interface.
 * @throws LuafcgidError when there is neither
 */
export async function findSqlite(): Promise<OpenDatabase> {
  const { DatabaseSync } = await loadModule();
  return (file, options) => new DatabaseSync(file, options);
}

async function loadModule(): Promise<SqliteModule> {
  try {
    const name = 'node:sqlite';
    const own = (await import(name)) as SqliteModule;
    if ('setReturnArrays' in own.StatementSync.prototype) return own;
  } catch {
    // This Node.js has none.
  }
  return loadDriver('SQLite', '@photostructure/sqlite', async () => {
    return (await import('@photostructure/sqlite')) as unknown as SqliteModule;
  });
}
