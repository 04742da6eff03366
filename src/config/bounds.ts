/** What the values of an option may be, in words that continue "must be". Messages and documents share them. */
import { FIELDS } from '../logging/access-format.js';
import { adapterNames } from '../lua/state.js';
import { DATA_ALLOWED } from './data-sources.js';
import { DICTIONARIES_ALLOWED } from './dictionaries.js';
import { HTTP_ALLOWED } from './http-client.js';
import { bytesText } from './literal.js';
import type { OptionRow } from './option.js';
import { SENDFILE_ALLOWED } from './sendfile.js';
import { SESSIONS_ALLOWED } from './sessions.js';

function numberText(value: number, unit: string | undefined): string {
  const human = unit === 'bytes' ? bytesText(value) : undefined;
  return human === undefined ? String(value) : `${value} (${human})`;
}

/** E.g. `a whole number of bytes from 1024 (1 KiB) to 67108864 (64 MiB)`. */
export function allowedValues(row: OptionRow): string {
  switch (row.type) {
    case 'integer':
    case 'seconds': {
      const unit = { bytes: ' of bytes', ms: ' of milliseconds', s: ' of seconds', none: '' }[row.unit ?? 'none'];
      const noun = row.type === 'integer' ? `a whole number${unit}` : `a number${unit}`;
      const min = numberText(row.min, row.unit);
      const bounds =
        row.max === Number.MAX_SAFE_INTEGER ? `, at least ${min}` : ` from ${min} to ${numberText(row.max, row.unit)}`;
      return `${noun}${bounds}${row.special ? `, or ${row.special.value} (${row.special.means})` : ''}`;
    }
    case 'text':
      return row.allowed;
    case 'choice':
      return row.choices
        .map((choice) => `"${choice}"`)
        .join(', ')
        .replace(/, ([^,]*)$/, ' or $1');
    case 'boolean':
      return 'true or false (without quotes)';
    case 'header-lines':
      return 'text of "Name: value" lines';
    case 'addresses':
      return 'an address, or a list of them: "/path.sock", "127.0.0.1:9000", ":9000", "[::1]:9000", "fd:0" or "systemd"';
    case 'status-address':
      return 'the path of a Unix socket, or a loopback address like "127.0.0.1:9001"';
    case 'url-path':
      return 'a path like "/luafcgid-status", of at most 200 characters and without spaces';
    case 'networks':
      return 'an IP address or network, or a list of them: "127.0.0.1", "::1", "10.0.0.0/8" or "fd00::/8"';
    case 'mode':
      return 'three or four octal digits, like "0660"';
    case 'script-files':
      return 'the name of a file, or a list of names';
    case 'source-file':
    case 'pid-file':
      return 'the name of a file';
    case 'log-target':
      return 'the name of a file, "-" (standard output), "syslog", "syslog:FACILITY" or "syslog:FACILITY:/SOCKET"';
    case 'access-format':
      return `"json", or text with fields: ${Object.keys(FIELDS)
        .map((name) => `{${name}}`)
        .join(', ')} and {param:NAME}`;
    case 'directories':
      return 'a directory, or a list of directories';
    case 'user':
    case 'group':
      return `the name or the number of a ${row.type}`;
    case 'extensions':
      return 'an extension like ".lua", a list of them, or "*" for any file';
    case 'adapters':
      return `a table of extensions and adapters like { lp = "cgilua" }; adapters are ${adapterNames.map((name) => `"${name}"`).join(', ')}`;
    case 'files':
      return 'a table of directories like { read = { "data" }, write = { "data" } }';
    case 'environment':
      return 'a list of names like { "HOME" }, or a table of names and values like { MODE = "test" }';
    case 'keys':
      return 'a table of names and secrets of at least 32 characters, or lists of these, like { session = SECRET }';
    case 'application':
      return 'a table of text, numbers, booleans and tables of these, of at most 64 KiB';
    case 'sendfile':
      return SENDFILE_ALLOWED;
    case 'sessions':
      return SESSIONS_ALLOWED;
    case 'data-sources':
      return DATA_ALLOWED;
    case 'http':
      return HTTP_ALLOWED;
    case 'dictionaries':
      return DICTIONARIES_ALLOWED;
    case 'templates':
      return 'file name templates separated by ";", like "lib/?.lua", or a list of them';
  }
}
