/**
 * The error catalogue: every fault that a person may meet has one entry here, and `docs/errors.md` lists them all (a
 * test keeps both equal). A code is never reused for another meaning.
 */

/** Who has to change something so that the error goes away. */
export type Blame = 'peer' | 'script' | 'operator' | 'bug';

export interface CatalogueEntry {
  readonly blame: Blame;
  /** HTTP status of the answer when the error ends a request; 0 when it cannot. */
  readonly status: number;
  /** What happened. `{name}` is replaced by the value of that name. */
  readonly message: string;
  /** What to do about it. */
  readonly solve: string;
}

export const catalogue = {
  LUAFCGID_FCGI_VERSION: {
    blame: 'peer',
    status: 0,
    message: 'FastCGI record of version {version}; only version 1 exists',
    solve: 'Check that the client speaks FastCGI: plain HTTP sent to this port looks like this.',
  },
  LUAFCGID_FCGI_RECORD: {
    blame: 'peer',
    status: 0,
    message: 'FastCGI protocol error: {detail}',
    solve: 'The connection was closed. Look at the client that sent the record.',
  },
  LUAFCGID_FCGI_PARAMS: {
    blame: 'peer',
    status: 0,
    message: 'malformed FastCGI parameters: {detail}',
    solve: 'The connection was closed. Look at the client that sent the parameters.',
  },
  LUAFCGID_FCGI_PARAMS_TOO_LARGE: {
    blame: 'peer',
    status: 431,
    message: 'FastCGI parameters of more than {limit} bytes',
    solve: 'Send smaller request headers or fewer fastcgi_param lines.',
  },
  LUAFCGID_CONFIG_INVALID: {
    blame: 'operator',
    status: 0,
    message: '{file}: {count}',
    solve: 'Nothing was started. Correct the faults listed; `luafcgid check FILE` lists them again.',
  },
  LUAFCGID_CONFIG_FILE: {
    blame: 'operator',
    status: 0,
    message: 'cannot read the configuration: {reason}',
    solve: 'Check the name of the file and its permissions.',
  },
  LUAFCGID_CONFIG_SCRIPT: {
    blame: 'operator',
    status: 0,
    message: '{kind}: {detail}',
    solve: 'The configuration is a Lua script and must run without an error: correct the line named.',
  },
  LUAFCGID_CONFIG_UNKNOWN: {
    blame: 'operator',
    status: 0,
    message: '{option} = {value}: there is no such setting',
    solve: 'Correct the name, or write `local` before it if it is a variable of your own.',
  },
  LUAFCGID_CONFIG_VALUE: {
    blame: 'operator',
    status: 0,
    message: '{option} = {value}: must be {allowed}',
    solve: 'Correct the value, or remove it to have the default.',
  },
  LUAFCGID_CONFIG_PLACE: {
    blame: 'operator',
    status: 0,
    message: '{option} = {value}: {reason}',
    solve: 'Create the file or directory, give the server access to it, or correct its name.',
  },
  LUAFCGID_CONFIG_HOOK: {
    blame: 'operator',
    status: 0,
    message: 'the hook {name}() of the configuration failed: {detail}',
    solve: 'Correct the function in the configuration file.',
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;

/** Fills the placeholders of a catalogue message. */
function fill(template: string, values: Readonly<Record<string, unknown>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** An error of the catalogue, with its values filled in. */
export class LuafcgidError extends Error {
  override readonly name = 'LuafcgidError';
  readonly code: ErrorCode;
  readonly blame: Blame;
  /** HTTP status of the answer, 0 when the error does not belong to one request. */
  readonly status: number;
  readonly solve: string;

  constructor(code: ErrorCode, values: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    const entry: CatalogueEntry = catalogue[code];
    super(fill(entry.message, values), cause === undefined ? undefined : { cause });
    this.code = code;
    this.blame = entry.blame;
    this.status = entry.status;
    this.solve = entry.solve;
  }
}
