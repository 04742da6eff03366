/** packaging/man/luafcgid.conf.5: the option table as a manual page. */
import { version } from '../base/version.js';
import { allowedValues } from './bounds.js';
import { readableDefault } from './config-docs.js';
import type { OptionRow } from './option.js';
import { optionNames, options } from './schema.js';

/** Text for roff(7): nothing in it is a command, hyphens are those of programs, and other letters go by their number. */
function plain(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&')
    .replace(/[^\n -~]/gu, (letter) => `\\[u${letter.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`);
}

const inline = (text: string): string => plain(text).replace(/`([^`]+)`/g, '\\fB$1\\fR');

/** A Markdown table of two columns, without its head. */
function roffTable(table: string): string {
  const rows = table.split('\n').slice(2);
  return rows
    .map((row) => row.split('|').slice(1, 3))
    .map(([name = '', text = '']) => `.TP\n${inline(name.trim())}\n${inline(text.trim())}\n`)
    .join('');
}

/** Markdown as the option table uses it: paragraphs, lists, code, links, tables and blocks of code. */
function roff(markdown: string): string {
  const blocks = markdown.split(/\n{2,}|\n(?=- )/).map((block) => {
    if (block.startsWith('|')) return roffTable(block);
    const code = /^```\w*\n([\s\S]*)\n```$/.exec(block);
    if (code !== null) return `.PP\n.nf\n${plain(code[1] as string)}\n.fi\n`;
    const text = block.replace(/\n\s*/g, ' ').replace(/\[([^\]]+)\]\([^)]*\)/g, '$1');
    const marked = inline(text.replace(/^- /, ''));
    return text.startsWith('- ') ? `.IP \\(bu 2\n${marked}\n` : `.PP\n${marked}\n`;
  });
  return `.RS\n${blocks.join('')}.RE\n`;
}

function section(name: string, row: OptionRow): string {
  const facts = `Allowed: ${allowedValues(row)}. Default: ${readableDefault(row)}.`;
  return `.TP\n.B ${plain(name)}\n${inline(row.summary)}\n${roff(`${row.text}\n\n${facts}`)}`;
}

export function manualPage(): string {
  const groups = [...new Set(optionNames.map((name) => options[name].group))];
  const sections = groups.map((group) => {
    const rows = optionNames.filter((name) => options[name].group === group);
    return `.SH ${group.toUpperCase()}\n${rows.map((name) => section(name, options[name])).join('')}`;
  });
  return `.\\" Written by "npm run docs" from src/config/options: do not edit.
.TH LUAFCGID.CONF 5 "" "luafcgid ${version}" "File Formats"
.\\" Lines are not stretched: addresses leave no place to do it.
.ad l
.SH NAME
luafcgid.conf \\- configuration of luafcgid, a Lua script
.SH DESCRIPTION
The configuration of
.BR luafcgid (1)
is a Lua script that runs once when the server starts. Its global variables are the settings; a global name that is no
setting is a fault. Relative file names start at the directory of the file.
.PP
\\fBluafcgid check\\fR \\fIFILE\\fR lists everything that is wrong with a file, each fault with what to do.
${sections.join('')}.SH SEE ALSO
.BR luafcgid (1)
`;
}
