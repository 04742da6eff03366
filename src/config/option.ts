/**
 * What one row of the option table (`schema.ts`) may say. Pure types: the table is checked against them by the compiler.
 */
import type { ListenSetting } from '../base/listen-address.js';
import type { StatusAddress } from '../base/status-address.js';
import type { HttpSettings, SourceSettings } from '../io/sources.js';
import type { LogTarget } from '../logging/target.js';
import type { Adapters, LuaValue } from '../lua/state.js';
import type { DictionarySettings } from '../shared/settings.js';

/** Directories whose files scripts may read and write. */
export interface FileDirectories {
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/** Which server sends a file that a script answers with (`con:sendfile`): this one, or the web server by a header. */
export interface SendfileSettings {
  readonly mode: 'stream' | 'x-sendfile' | 'x-accel-redirect';
  /** Directories, and the locations of nginx that serve them. */
  readonly locations: Readonly<Record<string, string>>;
}

/** What scripts are told of `sessions`; times are seconds. */
export interface SessionSettings {
  /** `memory`, or the name of a data source. */
  readonly store: string;
  readonly idle: number;
  readonly absolute: number;
  /** Of the cookie. */
  readonly name: string;
  readonly maxsize: number;
  /** Bytes of memory for all sessions. */
  readonly size: number;
  readonly path: string;
  readonly domain?: string;
  readonly samesite: 'Lax' | 'Strict';
  /** Left out: as the request came. */
  readonly secure?: boolean;
}

/**
 * The types of option, each with the type of its value in `Config`.
 * - `integer`: a whole number, or a string that reads as one
 * - `seconds`: a number of seconds, fractions allowed; `Config` holds milliseconds
 * - `text`: a byte string, each character one byte
 * - `header-lines`: `Name: value` lines; `Config` holds them with a CRLF after each
 * - `choice`: one of the strings in `choices`
 * - `addresses`: one listen address or a list of them
 * - `status-address`: a Unix socket or a loopback address
 * - `url-path`: a path of URLs
 * - `networks`: one IP address or network (`10.0.0.0/8`), or a list
 * - `mode`: file permissions, written as octal digits
 * - `source-file`: a file that must exist; `pid-file`: one that can be made
 * - `script-files`: one file that must exist, or a list
 * - `log-target`: where lines go: a file that must be writable, standard output or syslog
 * - `access-format`: what `log/access-format.ts` reads
 * - `directories`: one directory that must exist, or a list
 * - `user`, `group`: a name of the system's accounts, or a number
 * - `extensions`: endings of file names, one or a list; `Config` holds none for `"*"`, which stands for all names
 * - `adapters`: a table of extensions, without their dots, and adapters; `Config` has the dots
 * - `files`: a table of two lists of directories, `read` and `write`
 * - `environment`: names of environment variables (`true` in `Config`), or a table of names and values
 * - `keys`: a table of names and secrets, or lists of secrets
 * - `application`: a table of any plain values
 * - `sessions`: where sessions are kept, see `sessions.ts`
 * - `sendfile`: who sends files, see `sendfile.ts`
 * - `data-sources`: a table of names and data sources, see `data-sources.ts`
 * - `http`: a table of servers that scripts may reach, see `http-client.ts`
 * - `dictionaries`: a table of names and sizes, see `dictionaries.ts`
 * - `templates`: file name templates with `?`, a list or one string separated by `;`
 *
 * File names are absolute in `Config`, and text as Node.js takes it (decoded from UTF-8).
 */
export interface ValueTypes {
  integer: number;
  seconds: number;
  boolean: boolean;
  text: string;
  'header-lines': string;
  choice: string;
  addresses: readonly ListenSetting[];
  'status-address': StatusAddress | undefined;
  'url-path': string | undefined;
  networks: readonly string[] | undefined;
  mode: number | undefined;
  'source-file': string | undefined;
  'script-files': readonly string[];
  'pid-file': string | undefined;
  'log-target': LogTarget | undefined;
  'access-format': string;
  directories: readonly string[];
  user: string | undefined;
  group: string | undefined;
  extensions: readonly string[];
  adapters: Adapters;
  files: FileDirectories | undefined;
  environment: Readonly<Record<string, string | true>>;
  keys: Readonly<Record<string, readonly string[]>>;
  application: LuaValue;
  sessions: SessionSettings;
  sendfile: SendfileSettings;
  'data-sources': readonly SourceSettings[];
  http: HttpSettings | undefined;
  dictionaries: readonly DictionarySettings[];
  templates: readonly string[];
}

export type OptionType = keyof ValueTypes;

/** What a default may depend on. */
export interface DefaultContext {
  /** Processors that the process may use. */
  readonly cpus: number;
  /** Memory that it may use. */
  readonly memoryBytes: number;
  /** The value that `workers` got. */
  readonly workers: number;
  /** What `engine` says, as it is written. */
  readonly engine: LuaValue;
  /** The value that `watchdog` got, in seconds. */
  readonly watchdog: number;
  /** Whether a service manager has passed listening sockets. */
  readonly hasPassedSockets: boolean;
}

interface Row {
  /** Name in `Config`; a quantity's unit is in the name. */
  readonly key: string;
  readonly group:
    | 'Listening'
    | 'Pool'
    | 'Requests'
    | 'Clients'
    | 'Answers'
    | 'Scripts'
    | 'Data'
    | 'Operation'
    | 'Without effect';
  /** One line, for `--help` and the sample. */
  readonly summary: string;
  /** What one needs to know to choose a value, in Markdown. */
  readonly text: string;
  /** Whether the C daemon has this option. */
  readonly fromC?: true;
  /** What `con:config` may do in a script. Names of files and sockets of the host are not for scripts to see. */
  readonly script: 'hidden' | 'read' | 'set';
  /** Said once at start when the file sets the option, or only when it sets it to `when`. */
  readonly notice?: { readonly text: string; readonly when?: boolean };
  /** The default as one would write it in Lua; left out: nothing. */
  readonly default?: LuaValue | ((context: DefaultContext) => LuaValue);
  /** How the documents name a default that is computed, or none. */
  readonly defaultText?: string;
  /** Shown in the sample instead of such a default. */
  readonly example?: LuaValue;
}

interface NumberRow extends Row {
  readonly type: 'integer' | 'seconds';
  /** Unit of the Lua value, when it has one. */
  readonly unit?: 'bytes' | 'ms' | 's';
  readonly min: number;
  readonly max: number;
  /** One value outside of the bounds that means something of its own; `becomes` is what `Config` holds for it. */
  readonly special?: { readonly value: number; readonly means: string; readonly becomes?: number };
  /** Rounds up to the next power of two. */
  readonly powerOfTwo?: true;
}

interface TextRow extends Row {
  readonly type: 'text';
  readonly pattern: RegExp;
  /** What the pattern allows, in words that continue "must be". */
  readonly allowed: string;
}

interface ChoiceRow extends Row {
  readonly type: 'choice';
  readonly choices: readonly string[];
}

interface PlainRow extends Row {
  readonly type: Exclude<OptionType, NumberRow['type'] | 'text' | 'choice'>;
}

export type OptionRow = NumberRow | TextRow | ChoiceRow | PlainRow;
