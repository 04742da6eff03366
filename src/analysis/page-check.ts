/** Finds faults of a page that its engine would tell only when the faulty line runs, or never. The door of this folder. */
import { type ByteString, toText } from '../base/byte-string.js';
import { nearestName } from '../base/nearest-name.js';
import { SourceError } from './lexer.js';
import type { LoadedFile, Outline, SourcePlace } from './outline.js';
import { readOutline } from './parser.js';

export interface Finding extends SourcePlace {
  readonly text: string;
}

/** What a page is checked against. */
export interface PageRules {
  /** The functions of which it has to define one. */
  readonly handlers: readonly ByteString[];
  /** Globals that a state has before the page is loaded. */
  readonly engineGlobals: ReadonlySet<ByteString>;
  readonly conMethods: readonly ByteString[];
  /** What the engine says of the syntax, as `file:line: message`; undefined: it is right. */
  syntaxFault(source: ByteString): ByteString | undefined;
  /** The source of a file that the page loads; undefined: it is not found, or is no Lua. */
  load(file: LoadedFile): ByteString | undefined;
  /** What runs in each state before the page. */
  readonly preload: ByteString | undefined;
}

/** Files that are read for what they define. */
const MOST_FILES = 200;
const LINE_OF_MESSAGE = /:(\d+): ([\s\S]*)$/;
const NEAR = /near '?([^']+?)'?$/;

/** Everything that is wrong with a page, by its place. */
export function checkPage(source: ByteString, rules: PageRules): Finding[] {
  const fault = rules.syntaxFault(source);
  if (fault !== undefined) return [syntaxFinding(source, fault)];
  let outline: Outline;
  try {
    outline = readOutline(source);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    const text = `the engine takes this source, but it could not be looked through: ${error.message}`;
    return [{ line: 1, column: 1, text }];
  }
  const defined = definitionsOf(outline, rules);
  const findings = [
    ...handlerFindings(outline, defined, rules),
    ...globalFindings(outline, defined, rules),
    ...callFindings(outline, rules),
  ];
  return findings.sort((left, right) => left.line - right.line || left.column - right.column);
}

/** Whether a file that may be a page or a configuration is a page. */
export function isPage(source: ByteString, handlers: readonly ByteString[]): boolean {
  try {
    const { globals, calls, returnsValue } = readOutline(source);
    const definesHandler = globals.some(({ name, isWrite }) => isWrite && handlers.includes(name));
    return returnsValue || definesHandler || calls.some(({ object }) => object === 'con');
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    return /\bcon\b|\bfunction\s+main\b/.test(source);
  }
}

function syntaxFinding(source: ByteString, fault: ByteString): Finding {
  const [, number = '1', message = fault] = LINE_OF_MESSAGE.exec(fault) ?? [];
  const line = Number(number);
  const near = NEAR.exec(message)?.[1];
  const at = near === undefined ? -1 : (source.split('\n', line)[line - 1] ?? '').indexOf(near);
  return { line, column: at + 1 || 1, text: toText(message) };
}

/** Globals that the page and what it loads define outside of functions. */
function definitionsOf(outline: Outline, rules: PageRules): Set<ByteString> {
  const defined = new Set<ByteString>();
  const seen = new Set<string>();
  const waiting: Outline[] = [outline];
  const preload = rules.preload === undefined ? undefined : outlineOf(rules.preload);
  if (preload !== undefined) waiting.push(preload);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const { name, isWrite, isAtTop, isExplicit } of next.globals) {
      if (isWrite && (isAtTop || isExplicit)) defined.add(name);
    }
    for (const file of next.files) {
      const key = `${file.by} ${file.name}`;
      if (seen.has(key) || seen.size >= MOST_FILES) continue;
      seen.add(key);
      const source = rules.load(file);
      const loaded = source === undefined ? undefined : outlineOf(source);
      if (loaded !== undefined) waiting.push(loaded);
    }
  }
  return defined;
}

function outlineOf(source: ByteString): Outline | undefined {
  try {
    return readOutline(source);
  } catch (error) {
    if (error instanceof SourceError) return undefined;
    throw error;
  }
}

function handlerFindings(
  { returnsValue, hasOwnGlobals, files }: Outline,
  defined: ReadonlySet<ByteString>,
  { handlers }: PageRules,
): Finding[] {
  // A test file has its handler from this module.
  if (files.some(({ name }) => name === 'luafcgid.test')) return [];
  if (returnsValue || hasOwnGlobals || handlers.some((name) => defined.has(name))) return [];
  const [handler = 'main'] = handlers;
  const meant = [...defined].find((name) => nearestName(name, [handler]) !== undefined);
  const hint = meant === undefined ? '' : `; was ${toText(meant)} meant to be it?`;
  return [
    { line: 1, column: 1, text: `there is no function ${toText(handler)}(env, con), which answers requests${hint}` },
  ];
}

function globalFindings(
  { globals, tested, hasOwnGlobals }: Outline,
  defined: ReadonlySet<ByteString>,
  { engineGlobals }: PageRules,
): Finding[] {
  if (hasOwnGlobals) return [];
  const assigned = new Set(globals.filter(({ isWrite }) => isWrite).map(({ name }) => name));
  const known = [...new Set([...engineGlobals, ...defined, ...assigned])];
  const findings: Finding[] = [];
  const told = new Set<string>();
  for (const { name, isWrite, isExplicit, line, column } of globals) {
    const isKnown = isWrite ? defined.has(name) || isExplicit : assigned.has(name) || defined.has(name);
    if (isKnown || engineGlobals.has(name) || (!isWrite && tested.has(name))) continue;
    if (told.has(`${name} ${isWrite}`)) continue;
    told.add(`${name} ${isWrite}`);
    const shown = toText(name);
    if (isWrite) {
      const text = `${shown} is assigned in a function and is a global, which outlives the request: write "local ${shown}", or give it a value outside of all functions`;
      findings.push({ line, column, text });
    } else {
      const meant = nearestName(name, known);
      const hint = meant === undefined ? '' : `; did you mean ${toText(meant)}?`;
      findings.push({ line, column, text: `${shown} is a global that nobody defines${hint}` });
    }
  }
  return findings;
}

function callFindings({ calls }: Outline, { conMethods }: PageRules): Finding[] {
  const findings: Finding[] = [];
  for (const { object, method, hasColon, isSecond, passesObject, line, column } of calls) {
    if (object !== 'con') continue;
    const isMethod = conMethods.includes(method);
    const meant = nearestName(method, conMethods);
    // A parameter of the name con may be another thing, as of a function that gets the connection of a database.
    if (!isMethod && (isSecond || meant !== undefined)) {
      const hint = meant === undefined ? '' : `; did you mean ${toText(meant)}?`;
      findings.push({ line, column, text: `con has no method ${toText(method)}${hint}` });
    } else if (isMethod && !hasColon && !passesObject) {
      const text = `con.${toText(method)} is called without its con: write con:${toText(method)}(...)`;
      findings.push({ line, column, text });
    }
  }
  return findings;
}
