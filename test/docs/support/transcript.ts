/** Compares what a document says that a command prints with what it prints. */
import assert from 'node:assert/strict';

/** One command of a `console` block, and the lines that the document shows as its output. */
export interface Command {
  readonly words: readonly string[];
  readonly output: readonly string[];
}

/** The commands of a `console` block: lines after `$ `, each followed by its output. */
export function parseConsole(text: string): Command[] {
  const commands: { words: string[]; output: string[] }[] = [];
  for (const line of text
    .replace(/\\\n\s*/g, '')
    .replace(/\n$/, '')
    .split('\n')) {
    if (line.startsWith('$ ')) commands.push({ words: splitWords(line.slice(2)), output: [] });
    else commands.at(-1)?.output.push(line);
  }
  return commands;
}

/** Words as a shell makes them, as far as the documents need it: quotes, no expansion. */
function splitWords(line: string): string[] {
  return [...line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'),
  );
}

/** What differs between two runs: times, the names of requests, which state they have, and what the process is like. */
function steady(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'TIME')
    .replace(/\b[0-9a-f]{6}-[0-9a-z]+\b/g, 'REQUEST')
    .replace(/\bprocess \d+, engine (\w+), io \w+, \d+ workers?/g, 'process N, engine $1')
    .replace(/ state \d+ worker \d+ /g, ' STATE ')
    .trimEnd();
}

/** Asserts that the lines printed are those shown, where a line `...` stands for any number of lines. */
export function assertShown(printed: string, shown: readonly string[], place: string): void {
  const actual = printed.replace(/\r/g, '').replace(/\n$/, '').split('\n').map(steady);
  const pattern = shown
    .map((line) =>
      line.trim() === '...' ? '(?:.*\\n)*?' : `${steady(line).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\n`,
    )
    .join('');
  const isShown = new RegExp(`^${pattern}$`).test(
    actual.length === 1 && actual[0] === '' ? '' : `${actual.join('\n')}\n`,
  );
  assert.ok(isShown, `${place}: it prints\n${printed}\nbut the document shows\n${shown.join('\n')}`);
}
