/** `luafcgid check PAGE`: faults of pages that show before anybody requests them. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { LoadedFile } from '../analysis/outline.js';
import { checkPage, isPage, type PageRules } from '../analysis/page-check.js';
import { type ByteString, toByteString, toText } from '../base/byte-string.js';
import type { Config, Overrides } from '../config/load.js';
import { createEngine } from '../lua/engine.js';
import { adapterFor, type LuaEngine } from '../lua/state.js';
import { type Outcome, prepare } from './prepare.js';
import { readInput } from './run.js';

/** What pages define where the configuration names no other functions. */
const USUAL_HANDLERS = ['main', 'authorize', 'filter'];
const MEMORY_BYTES = 64 << 20;

/** Whether a word of `luafcgid check` names a page, and not a configuration. */
export function namesPage(file: string): boolean {
  const source = tryRead(file);
  return source !== undefined && isPage(source, USUAL_HANDLERS);
}

/** Checks pages, and prints every fault with its place. @param config when left out, all settings have their defaults */
export function checkPages(pages: readonly string[], config: string | undefined, overrides: Overrides): Outcome {
  const { loaded, engine: data } = prepare(config ?? null, overrides);
  loaded.hooks.close();
  const engine = createEngine(data);
  let faults = 0;
  for (const page of pages) {
    const source = readInput(page).toString('latin1');
    const adapter = adapterFor(toByteString(resolve(page)), loaded.config);
    if (adapter !== undefined) {
      process.stdout.write(`${page}: not checked, since the adapter ${adapter} runs it\n`);
      continue;
    }
    const findings = checkPage(source, rulesFor(page, loaded.config, engine));
    for (const { line, column, text } of findings) process.stdout.write(`${page}:${line}:${column}: ${text}\n`);
    faults += findings.length;
  }
  if (faults === 0) process.stdout.write(`${pages.join(', ')}: no faults found\n`);
  return { exitCode: faults === 0 ? 0 : 1 };
}

function rulesFor(page: string, config: Config, engine: LuaEngine): PageRules {
  const directory = dirname(resolve(page));
  const templates = [`${directory}/?.lua`, `${directory}/?/init.lua`, ...config.path];
  const load = ({ by, name }: LoadedFile): ByteString | undefined => {
    const text = toText(name);
    if (by === 'dofile') return tryRead(resolve(directory, text));
    for (const template of templates) {
      const source = tryRead(template.replaceAll('?', text.replaceAll('.', '/')));
      if (source !== undefined) return source;
    }
    return undefined;
  };
  return {
    handlers: [config.handler, config.authorizer, config.filter],
    preload: config.preload === undefined ? undefined : tryRead(config.preload),
    load,
    ...engineFacts(engine, toByteString(resolve(page))),
  };
}

function tryRead(file: string): ByteString | undefined {
  try {
    return readFileSync(file).toString('latin1');
  } catch {
    return undefined;
  }
}

/** What the engine knows, asked of one of its states. @param file the page, by the name that messages have */
function engineFacts(
  engine: LuaEngine,
  file: ByteString,
): Pick<PageRules, 'engineGlobals' | 'conMethods' | 'syntaxFault'> {
  const ask = (chunk: string, source?: ByteString): readonly ByteString[] => {
    const lines: ByteString[] = [];
    const state = engine.createState({
      host: {
        log: (_level, text) => void lines.push(text),
        readSource: (path) => (path === file && source !== undefined ? Buffer.from(source, 'latin1') : undefined),
      },
      memoryBytes: MEMORY_BYTES,
      directory: '/',
      path: [],
      config: {},
    });
    try {
      state.run(Buffer.from(chunk), '=check');
    } finally {
      state.close();
    }
    return lines;
  };
  return {
    engineGlobals: new Set(ask('for name in pairs(_G) do print(name) end')),
    conMethods: ask('for _, name in ipairs(require("luafcgid").con_methods()) do print(name) end'),
    syntaxFault: (source) => {
      const fault = ask(
        `local chunk, message = loadfile(${luaText(file)}) if not chunk then print(message) end`,
        source,
      );
      return fault.length === 0 ? undefined : fault.join('\n');
    },
  };
}

/** A Lua literal of the same bytes. */
function luaText(text: ByteString): string {
  return `"${text.replace(/[^ -~]|["\\]/g, (byte) => `\\${String(byte.charCodeAt(0)).padStart(3, '0')}`)}"`;
}
