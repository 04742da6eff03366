/** What a run leaves: Markdown on standard output, the same figures and more in a JSON file. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

const RESULTS = new URL('./results/', import.meta.url);

/** @param {string} text */
export function say(text) {
  process.stdout.write(`${text}\n`);
}

/**
 * Prints a table. Columns of figures are set flush right.
 * @param {readonly string[]} head a name that ends in `|` is that of a column of text
 * @param {readonly (readonly string[])[]} rows
 */
export function sayTable(head, rows) {
  const isText = head.map((name) => name.endsWith('|'));
  const cells = [head.map((name) => name.replace(/\|$/, '')), ...rows];
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column].length)));
  const pad = (/** @type {string} */ text, /** @type {number} */ column) =>
    isText[column] ? text.padEnd(widths[column]) : text.padStart(widths[column]);
  const line = (/** @type {readonly string[]} */ row) => `| ${row.map(pad).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (isText[column] ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  say([line(cells[0]), rule, ...cells.slice(1).map(line), ''].join('\n'));
}

/** The machine, as far as the figures depend on it. */
export function machine() {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    processors: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}

/** Writes everything that was found. @param {Record<string, unknown>} results @returns {string} the file */
export function writeResults(results) {
  mkdirSync(RESULTS, { recursive: true });
  const name = `${new Date().toISOString().replace(/[:.]/g, '-')}.json`;
  const file = fileURLToPath(new URL(name, RESULTS));
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
  return file;
}

/** @param {number} value @param {number} [digits] */
export const fixed = (value, digits = 0) => (Number.isFinite(value) ? value.toFixed(digits) : '–');

/** @param {number} micros */
export const millis = (micros) => fixed(micros / 1000, micros < 10_000 ? 2 : 1);
