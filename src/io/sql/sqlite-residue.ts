/** What a statement may leave on its connection of SQLite, and what is refused because it reaches outside. Pure. */
import type { ScannedStatement } from './scanner.js';
import { Residue } from './sql.js';

/** Settings that only tell something, or that belong to the database and to no connection. */
const PRAGMAS = new Set(
  `application_id collation_list compile_options database_list encoding foreign_key_check foreign_key_list freelist_count function_list
  index_info index_list index_xinfo integrity_check optimize page_count page_size quick_check schema_version table_info table_list table_xinfo
  user_version wal_checkpoint`.split(/\s+/),
);

/** Why a statement is refused; undefined when it is not. */
export function refusalOf({ words }: ScannedStatement): string | undefined {
  const [command = '', second = ''] = words;
  if (command === 'attach' || command === 'detach') {
    return 'ATTACH and DETACH are refused: a data source is one file; name another one in the configuration';
  }
  if (command === 'vacuum' && words.includes('into')) return 'VACUUM INTO is refused: it would write any file';
  if (command !== 'pragma') return undefined;
  const name = words.find((word, at) => at > 0 && PRAGMAS.has(word));
  return name === undefined
    ? `the pragma ${second} is refused: it sets the connection, which others use, too`
    : undefined;
}

export function residueOf({ words }: ScannedStatement): Residue {
  return words.includes('temp') || words.includes('temporary') ? Residue.SESSION : Residue.NONE;
}
