/**
 * The documents that come from the option table: docs/configuration.md, packaging/config.lua and the settings in
 * `--help`. `npm run docs` writes the files; a test fails when they differ from the table.
 */
import { allowedValues } from './bounds.js';
import { bytesExpression, bytesText, luaLiteral } from './literal.js';
import type { OptionRow } from './option.js';
import { type OptionName, optionNames, options } from './schema.js';

const rows = optionNames.map((name): { readonly name: OptionName; readonly row: OptionRow } => ({
  name,
  row: options[name],
}));
const groups = [...new Set(rows.map(({ row }) => row.group))];

/** The default as written in Lua; undefined when it is computed or nothing. */
function writtenDefault(row: OptionRow): string | undefined {
  if (row.defaultText !== undefined || row.default === undefined || typeof row.default === 'function') return undefined;
  if (typeof row.default === 'number' && 'unit' in row && row.unit === 'bytes') return bytesExpression(row.default);
  return luaLiteral(row.default);
}

/** The default for a person: `1 MiB`, `30 s`, `"main"`. */
export function readableDefault(row: OptionRow): string {
  const written = writtenDefault(row);
  if (written === undefined) return row.defaultText ?? 'none';
  if (typeof row.default !== 'number' || !('unit' in row) || row.unit === undefined) return written;
  return (row.unit === 'bytes' ? bytesText(row.default) : undefined) ?? `${row.default} ${row.unit}`;
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Columns of a terminal that are used. */
const WIDEST_HELP = 120;

/** The settings in `luafcgid --help`: a line each. */
export function optionHelp(): string {
  const lines = rows.map(({ name, row }) => {
    const fallback = readableDefault(row).replaceAll('`', '');
    const line = `  ${name.padEnd(16)}${row.summary.replace(/\.$/, '')} [${fallback}]`;
    return line.length <= WIDEST_HELP ? line : line.replace(/ (\[[^[]*)$/, `\n${' '.repeat(18)}$1`);
  });
  return ['Settings of the configuration file [default]:', ...lines].join('\n');
}

/** A comment in Lua of lines of at most 100 characters. */
function luaComment(text: string): string {
  const lines = text.match(/\S.{0,95}(?=\s|$)/g) ?? [];
  return lines.map((line) => `-- ${line.trimEnd()}\n`).join('');
}

function sampleOption({ name, row }: (typeof rows)[number]): string {
  const written = writtenDefault(row);
  const fallback = written === undefined ? ` Default: ${row.defaultText?.replaceAll('`', '')}.` : '';
  const allowed = row.type === 'boolean' ? '' : `${capitalise(allowedValues(row))}.`;
  const comment = luaComment(row.summary) + luaComment(allowed + fallback);
  const isBytes = 'unit' in row && row.unit === 'bytes' && typeof row.example === 'number';
  const example = isBytes ? bytesExpression(row.example) : luaLiteral(row.example);
  return `${comment}--${name} = ${written ?? example}\n`;
}

/** packaging/config.lua: every option with its default, commented out. */
export function sampleConfig(): string {
  const head = luaComment(
    'Configuration of luafcgid: a Lua script. Every setting is here with its default; remove the "--" before the name ' +
      'to change one. "luafcgid check FILE" tells what is wrong with a configuration. Relative file names start at the ' +
      'directory of this file. docs/configuration.md explains more.',
  );
  const parts = groups.map((group) => {
    const settings = rows.filter(({ row }) => row.group === group).map(sampleOption);
    return `\n---- ${group}\n\n${settings.join('\n')}`;
  });
  return `${head}${parts.join('')}
---- Hooks

-- Called once before the first request, every "sweep" milliseconds, and once at the end.
--function startup() end
--function housekeeping() end
--function shutdown() end
`;
}

const INTRODUCTION = `# Configuration

<!-- Made from src/config/schema.ts by \`npm run docs\`: change it there. -->

The configuration is a Lua script that runs once when the server starts. Its global variables are the settings:

\`\`\`lua
listen = "/run/luafcgid.sock"
workers = 4
states = workers * 2
showerrors = os.getenv("SITE") ~= "production"
\`\`\`

\`luafcgid FILE\` uses the file named; \`luafcgid\` alone uses \`config.lua\` in the working directory if there is one, and
otherwise the defaults, with which only this machine can connect. [\`packaging/config.lua\`](../packaging/config.lua) is
a complete file to start from. The settings of the C daemon have kept their names and meanings.

\`luafcgid check FILE\` lists everything that is wrong with a file, each fault with what is allowed and what to do. A file
that is missing or has a fault never starts a server.

- **Own variables** must be \`local\`. A global name that is no setting is a fault: most often it is a misspelt setting.
- **Relative file names** start at the directory of the configuration file, wherever the server is started. Those on the
  command line start at the working directory.
- **Numbers** may be written as strings and strings as numbers, so \`workers = os.getenv("WORKERS")\` works. A setting that
  is \`nil\` has its default.
- **The environment** wins over the file, and the command line over both: \`LUAFCGID_WORKERS=4\` is \`workers = 4\`, and so for every
  setting, its name in capitals. Text stands for itself, \`true\` and \`false\` for themselves. What begins with a bracket is JSON, for
  lists and tables: \`LUAFCGID_DATA='{"main":"postgres://app@db/app"}'\`. An empty variable is as good as none. Relative file names start at
  the working directory. A server takes these variables out of its environment, so scripts do not see them. A name that is no setting
  is named in the log. \`luafcgid check --dump FILE\` tells where each setting comes from.
- **What the script may use**: the Lua language and its string, table and math functions, \`os.getenv\`, \`os.time\` and
  \`os.date\`, and \`require\`, \`dofile\` and \`loadfile\` for further Lua files. The embedded Lua opens no other files and
  starts no processes: \`io.open\` and \`os.execute\`, which the C daemon had, fail.
- **\`print\`** writes to the log.
- **Scripts** read a setting with \`con:config("name")\`, except those that name files or sockets of the machine, and
  change for one request those marked so: \`con:config("buffering", false)\`.

`;

const HOOKS = `## Hooks

Functions with these names in the configuration script are called by the server, in the Lua state in which the script ran,
so they see its variables. They take no arguments. All requests wait while a hook runs: keep it short.

| function | is called |
|---|---|
| \`startup()\` | once, after the configuration was checked and before the first request |
| \`housekeeping()\` | in every round of housekeeping: each \`sweep\` milliseconds |
| \`shutdown()\` | once, after the last request |

\`\`\`lua
local rounds = 0
function housekeeping()
  rounds = rounds + 1
  if rounds % 3600 == 0 then print("an hour has passed") end
end
\`\`\`
`;

/** One line for each option of the group. */
function groupTable(group: OptionRow['group']): string {
  const lines = rows
    .filter(({ row }) => row.group === group)
    .map(({ name, row }) => `| [\`${name}\`](#${name}) | ${tableDefault(row)} | ${row.summary} |\n`);
  return `| setting | default | meaning |\n|---|---|---|\n${lines.join('')}`;
}

function tableDefault(row: OptionRow): string {
  const readable = readableDefault(row);
  return readable === writtenDefault(row) ? `\`${readable}\`` : readable;
}

const IN_SCRIPTS = {
  hidden: 'not visible to scripts',
  read: 'scripts may read it',
  set: 'scripts may read it, and change it for one request',
} as const;

function optionSection({ name, row }: (typeof rows)[number]): string {
  const written = writtenDefault(row);
  return `### ${name}

${row.summary}

${row.text}

- Allowed: ${allowedValues(row)}
- Default: ${written === undefined ? row.defaultText : `\`${name} = ${written}\``}
- ${row.fromC ? 'As in the C daemon' : 'New'}; ${IN_SCRIPTS[row.script]}

`;
}

/** docs/configuration.md. */
export function configurationPage(): string {
  const sections = groups.map((group) => {
    const settings = rows.filter(({ row }) => row.group === group).map(optionSection);
    return `## ${group}\n\n${groupTable(group)}\n${settings.join('')}`;
  });
  return INTRODUCTION + sections.join('') + HOOKS;
}
