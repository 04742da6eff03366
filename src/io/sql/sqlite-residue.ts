/** What a statement may leave on its connection of SQLite, and what is refused because it reaches outside. Pure. */
import type { ScannedStatement } from './scanner.js';
import { Residue } from './sql.js';

/** Settings that only tell something, or that belong to the database and to no connection. */
const PRAGMAS = new Set(
  `application_id collation_list compile_options database_list encoding foreign_key_check foreign_key_list freelist_count function_list
  index_info index_list index_xinfo integrity_check optimize page_count page_size quick_check schema_version table_info table_list table_xinfo
  user_version wal_checkpoint`.split(/\s+/),
);

/** A pragma as it has to be written: what it sets may look like the name of another one, and names may have quotes around them. */
const PRAGMA = /^\s*pragma\s+(?:(?:main|temp)\s*\.\s*)?([a-z_]+)\s*(?:[=(;]|$)/i;
/** Also with quotes around it, and within a string: that costs no more than a new connection. */
const TEMPORARY = /\btemp(?:orary)?\b/i;

/** Why a statement is refused; undefined when it is not. */
export function refusalOf({ text, words }: ScannedStatement): string | undefined {
  const [command = '', second = ''] = words;
  if (command === 'attach' || command === 'detach') {
    return 'ATTACH and DETACH are refused: a data source is one file; name another one in the configuration';
  }
  if (command === 'vacuum' && words.includes('into')) return 'VACUUM INTO is refused: it would write any file';
  if (command !== 'pragma') return undefined;
  const written = PRAGMA.exec(text)?.[1]?.toLowerCase();
  const name = written ?? second;
  if (!PRAGMAS.has(name)) return `the pragma ${name} is refused: it sets the connection, which others use, too`;
  return written === undefined
    ? `a pragma is written as "pragma ${name}", without quotes, comments and names of databases but main and temp`
    : undefined;
}

export function residueOf({ text }: ScannedStatement): Residue {
  return TEMPORARY.test(text) ? Residue.SESSION : Residue.NONE;
}
