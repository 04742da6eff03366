/** packaging/man/luafcgid.conf.5: the option table as a manual page. */
import { allowedValues } from './bounds.js';
import { readableDefault } from './document.js';
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

/** A table's row as an item of a list; its head and the line below that say nothing that the text does not. */
function rowText(row: string): string {
  return row
    .slice(1, -1)
    .split(' | ')
    .map((cell) => cell.trim())
    .join(': ');
}

/** Markdown as the table uses it: paragraphs, lists, tables of two columns, code, links. */
function roff(markdown: string): string {
  const items = markdown.replace(/^\|.*\|\n\|[-|]+\|\n/gm, '').replace(/^\|.*\|$/gm, (row) => `- ${rowText(row)}`);
  const blocks = items.split(/\n{2,}|\n(?=- )/).map((block) => {
    const text = block.replace(/\n\s*/g, ' ').replace(/\[([^\]]+)\]\([^)]*\)/g, '$1');
    const marked = plain(text.replace(/^- /, '')).replace(/`([^`]+)`/g, '\\fB$1\\fR');
    return text.startsWith('- ') ? `.IP \\(bu 2\n${marked}\n` : `.PP\n${marked}\n`;
  });
  return `.RS\n${blocks.join('')}.RE\n`;
}

function section(name: string, row: OptionRow): string {
  const facts = `Allowed: ${allowedValues(row)}. Default: ${readableDefault(row)}.`;
  return `.TP\n.B ${plain(name)}\n${plain(row.summary).replace(/`([^`]+)`/g, '\\fB$1\\fR')}\n${roff(`${row.text}\n\n${facts}`)}`;
}

export function manualPage(): string {
  const groups = [...new Set(optionNames.map((name) => options[name].group))];
  const sections = groups.map((group) => {
    const rows = optionNames.filter((name) => options[name].group === group);
    return `.SH ${group.toUpperCase()}\n${rows.map((name) => section(name, options[name])).join('')}`;
  });
  return `.\\" Written by "npm run docs" from src/config/options: do not edit.
.TH LUAFCGID.CONF 5 "" "luafcgid" "File Formats"
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
