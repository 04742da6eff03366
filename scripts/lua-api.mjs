// docs/lua-api.md from the doc comments (lines that begin with "---") in the Lua sources of the script interface.
//
// A doc comment above a function describes it: its calls, an empty line, what it does, an empty line, and then lines
// that begin with "Errors:", "Example:" or "C daemon:" (indented lines continue them). Any other doc comment is text.
import { readFileSync } from 'node:fs';
import { deferredParts, loadedParts } from '../dist/src/lua/runtime/manifest.js';

/** In the order of the page: what the language's own library is here comes last. */
const PARTS = [...loadedParts('embedded'), ...deferredParts, ...loadedParts('native')].filter(
  (part, at, all) => all.findIndex(({ file }) => file === part.file) === at,
);
const isLast = ({ name }) => name === 'stdlib';
const isFirst = ({ name }) => name === 'prelude';
const SOURCES = [
  ...PARTS.filter(isFirst),
  ...PARTS.filter((part) => part.name.startsWith('con')),
  ...PARTS.filter((part) => !isFirst(part) && !isLast(part) && !part.name.startsWith('con')),
  ...PARTS.filter(isLast),
];

const NOTE = '<!-- Made from the comments in src/lua/**/*.lua by `npm run docs`: change it there. -->';

/** Doc comments of a Lua source with the line of code that follows each. */
function docComments(source) {
  const comments = [];
  const lines = source.split('\n').map((line) => line.trimStart());
  for (let at = 0; at < lines.length; at += 1) {
    if (!lines[at].startsWith('---') || lines[at].startsWith('----')) continue;
    const start = at;
    while (lines[at].startsWith('---') && !lines[at].startsWith('----')) at += 1;
    const text = lines.slice(start, at).map((line) => line.replace(/^--- ?/, ''));
    comments.push({ text, code: lines[at] });
  }
  return comments;
}

/** The fields at the end of a function's doc comment. */
function readFields(lines, place) {
  const fields = new Map();
  let name;
  for (const line of lines) {
    const [, begun, text] = /^(Errors|Example|C daemon): (.*)$/.exec(line) ?? [];
    if (begun !== undefined) {
      name = begun;
      fields.set(name, text);
    } else if (name !== undefined && line.startsWith('  ')) fields.set(name, `${fields.get(name)}\n${line}`);
    else throw new Error(`${place}: what is "${line}"?`);
  }
  for (const needed of ['Errors', 'Example'])
    if (!fields.has(needed)) throw new Error(`${place}: no line "${needed}:"`);
  return fields;
}

/** The documented functions of the script interface: name as scripts write it, its example. */
export function documentedFunctions() {
  return SOURCES.flatMap((part) => readDocs(part).filter((doc) => doc.name !== undefined));
}

function readDocs({ file, namespace }) {
  return docComments(readFileSync(`src/lua/${file}`, 'utf8')).map(({ text, code }) => {
    const [, table, method] = /^function (Con|M)\.([\w.]+)\(/.exec(code ?? '') ?? [];
    if (method === undefined) return { text };
    const name = table === 'Con' ? `con:${method}` : `${namespace}.${method}`;
    const firstGap = text.indexOf('');
    const lastGap = text.lastIndexOf('');
    const calls = text.slice(0, firstGap);
    if (firstGap < 1 || firstGap === lastGap || !calls.every((call) => call.startsWith(`${name}(`))) {
      throw new Error(`${file}: the comment of ${name} needs its calls, a text and its fields`);
    }
    const fields = readFields(text.slice(lastGap + 1), `${file}: ${name}`);
    return { name, calls, text: text.slice(firstGap + 1, lastGap), fields, example: fields.get('Example') };
  });
}

function lua(lines) {
  return ['```lua', ...lines, '```'];
}

function section({ name, calls, text, fields, example }) {
  if (name === undefined) return text;
  const daemon = fields.get('C daemon');
  return [
    `### ${name}`,
    '',
    ...lua(calls),
    '',
    ...text,
    '',
    `- Errors: ${fields.get('Errors')}`,
    ...(daemon === undefined ? [] : [`- The C daemon ${daemon}`]),
    '',
    ...lua([example]),
  ];
}

/** The page's text. */
export function luaApiPage() {
  const sections = SOURCES.flatMap(readDocs).map((doc) => section(doc).join('\n'));
  return `${sections.join('\n\n').replace('\n', `\n\n${NOTE}\n`)}\n`;
}
