/**
 * Who may import whom. A room is a folder of `src/` with files of its own; the first line of its README.md names the
 * thread that it runs on.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Import, importsOf, ROOT, roomOf, sourceFiles } from './source-tree.js';

interface Rule {
  /** The rooms that its files may import; `base` is open to all. */
  readonly mayImport: readonly string[];
  /** The only files that outsiders may import. Left out: all. */
  readonly doors?: readonly string[];
}

/** From the composition of the whole down to what needs nothing. A room in a room may import the room around it. */
const RULES: Readonly<Record<string, Rule>> = {
  main: { mayImport: ['cli', 'config', 'lua', 'process'], doors: [] },
  cli: {
    mayImport: [
      'analysis',
      'config',
      'control',
      'gateway',
      'io',
      'linux',
      'logging',
      'lua',
      'process',
      'profile',
      'server',
      'status',
    ],
  },
  profile: { mayImport: [] },
  analysis: { mayImport: [], doors: ['page-check', 'outline'] },
  server: {
    mayImport: [
      'config',
      'control',
      'front/host',
      'io',
      'linux',
      'logging',
      'logging/sinks',
      'lua',
      'process',
      'scripts',
      'shared',
      'status',
      'threads',
    ],
    doors: ['server'],
  },
  control: { mayImport: ['front/io', 'status'], doors: ['client', 'http'] },
  status: {
    mayImport: ['logging', 'metrics'],
    doors: ['json', 'model', 'render', 'script-table', 'text', 'text-buffer', 'top', 'words'],
  },
  threads: { mayImport: ['channel', 'io', 'linux', 'metrics', 'shared', 'worker'] },
  process: { mayImport: ['linux'] },
  gateway: { mayImport: ['fcgi'], doors: ['gateway', 'script-call', 'script-console', 'script-tests'] },
  'logging/sinks': { mayImport: ['channel', 'config', 'linux', 'logging'], doors: ['logs'] },
  config: { mayImport: ['config/options', 'io', 'logging', 'lua', 'shared'] },
  'config/options': { mayImport: ['config', 'logging', 'lua'] },

  'front/host': {
    mayImport: [
      'channel',
      'front/core',
      'front/io',
      'front/io/epoll',
      'front/io/node',
      'front/logging',
      'front/model',
      'linux',
      'metrics',
      'status',
    ],
    doors: ['create-front', 'handle'],
  },
  'front/io/epoll': { mayImport: ['channel', 'front/core', 'front/io', 'front/model', 'linux'] },
  'front/io/node': { mayImport: ['front/core', 'front/io'] },
  'front/io': { mayImport: ['front/core', 'front/model', 'linux'] },
  'front/logging': { mayImport: ['channel', 'front/model', 'logging'] },
  'front/core': {
    mayImport: [
      'cgi',
      'channel',
      'fcgi',
      'front/answers',
      'front/clients',
      'front/dispatch',
      'front/model',
      'metrics',
      'pool',
      'scripts',
      'status',
    ],
  },
  'front/dispatch': { mayImport: ['channel', 'front/answers', 'front/lending', 'front/model', 'pool'] },
  'front/lending': { mayImport: ['channel', 'front/model', 'pool'] },
  'front/clients': { mayImport: ['front/model'] },
  'front/answers': { mayImport: ['cgi', 'channel', 'fcgi', 'front/model', 'pool'] },
  'front/model': { mayImport: ['cgi', 'channel', 'fcgi', 'logging', 'metrics', 'pool'] },
  pool: { mayImport: [], doors: ['pool'] },

  worker: {
    mayImport: [
      'cgi',
      'channel',
      'config',
      'io',
      'linux',
      'logging',
      'lua',
      'metrics',
      'scripts',
      'shared',
      'worker/data',
      'worker/direct',
    ],
  },
  'worker/data': {
    mayImport: ['channel', 'io', 'io/pool', 'io/redis', 'io/sql', 'linux', 'lua', 'worker'],
    doors: ['direct-data', 'lent-connections', 'own-reads'],
  },
  'worker/direct': { mayImport: ['cgi', 'channel', 'fcgi', 'linux', 'logging', 'worker'] },

  io: { mayImport: ['channel', 'io/http', 'io/lending', 'io/pool', 'io/redis', 'io/sql', 'linux'] },
  'io/lending': { mayImport: ['io'] },
  'io/http': { mayImport: ['io', 'io/pool'], doors: ['http-source'] },
  'io/pool': { mayImport: ['io'] },
  'io/redis': { mayImport: ['io', 'io/lending', 'io/pool'], doors: ['commands', 'redis-source', 'replies'] },
  'io/sql': {
    mayImport: ['io', 'io/lending', 'io/pool'],
    doors: [
      'mysql',
      'placeholders',
      'postgres',
      'postgres-outcome',
      'postgres-residue',
      'postgres-values',
      'scanner',
      'sql',
      'sql-source',
      'sqlite-driver',
      'sqlite-engine',
      'sqlite-residue',
      'sqlite-short-reads',
      'sqlite-source',
      'sqlite-statement',
      'statements',
    ],
  },

  lua: { mayImport: ['cgi', 'lua/embedded', 'lua/native', 'shared'], doors: ['engine', 'state'] },
  'lua/embedded': {
    mayImport: ['fcgi', 'lua', 'lua/embedded/libc', 'lua/embedded/wasm', 'lua/runtime'],
    doors: ['engine'],
  },
  'lua/embedded/libc': { mayImport: ['lua', 'lua/embedded'] },
  'lua/embedded/wasm': { mayImport: [] },
  'lua/native': { mayImport: ['lua', 'lua/embedded/libc', 'lua/runtime'] },
  'lua/runtime': { mayImport: [] },

  scripts: { mayImport: ['lua'] },
  metrics: { mayImport: [] },
  shared: { mayImport: [] },
  logging: { mayImport: ['channel', 'fcgi'] },
  cgi: { mayImport: ['fcgi'] },
  fcgi: { mayImport: [], doors: ['session'] },
  channel: { mayImport: [] },
  linux: { mayImport: ['channel'] },
  base: { mayImport: [] },
};

/** Rooms whose files are handed out by the room that puts the server together: all others get them as arguments. */
const ARGUMENTS: Readonly<Record<string, string>> = { 'logging/sinks': 'server' };

/** Files whose results depend on their arguments alone. */
const PURE = [
  'base/byte-string',
  'base/bounded-text',
  'base/errors',
  'fcgi/',
  'cgi/',
  'pool/',
  'channel/messages',
  'scripts/fingerprint',
  'scripts/path-cache',
  'status/json',
  'status/model',
  'status/openmetrics',
  'status/render',
  'status/text',
  'status/top',
  'status/words',
  'scripts/names',
  'metrics/',
  'logging/access-format',
  'logging/invisible',
  'logging/line',
  'logging/repeats',
  'logging/target',
  'config/data-sources',
  'config/dictionaries',
  'config/options/',
  'config/units',
  'config/schema',
  'front/answers/',
  'front/clients/',
  'front/core/',
  'front/dispatch/',
  'front/lending/',
  'front/model/',
  'io/http/redirects',
  'io/http/request',
  'io/pool/',
  'io/lent-limits',
  'io/loan-words',
  'io/protocol',
  'io/redis/commands',
  'io/redis/replies',
  'io/sources',
  'io/sql/mysql-residue',
  'io/sql/mysql-values',
  'io/sql/placeholders',
  'io/sql/postgres-outcome',
  'io/sql/postgres-residue',
  'io/sql/postgres-values',
  'io/sql/scanner',
  'io/sql/sql-encoding',
  'io/sql/recent-map',
  'io/sql/sqlite-program',
  'io/sql/sqlite-residue',
  'io/sql/sqlite-statement',
  'io/sql/statements',
  'io/sql/text',
  'io/values',
  'process/environment',
  'process/passed-sockets',
  'shared/',
];

/** The first line of a room's README.md. */
const THREAD = /^Thread: (.+)\.$/;
const THREADS = ['main', 'front', 'worker', 'io', 'any'];

/** The threads that a room's files run on. */
function threadsOf(room: string): readonly string[] {
  if (room === 'main') return ['main'];
  const file = join(ROOT, 'src', room, 'README.md');
  const [, names = ''] = THREAD.exec(readFileSync(file, 'utf8').split('\n')[0] as string) ?? [];
  return names.split(', ').filter((name) => name !== '');
}

/** What is wrong with an import, in words; undefined when it is allowed. */
function faultOf({ from, to, isType }: Import): string | undefined {
  const [own, other] = [roomOf(from), roomOf(to)];
  if (to.startsWith('node:') || !RULES[other]) return undefined;
  if (own === other || other === 'base') return undefined;
  const rule = RULES[own];
  const { doors } = RULES[other] as Rule;
  if (rule === undefined) return `src/${from}.ts: the room "${own}" has no rule: add it to this test`;
  const owner = ARGUMENTS[other];
  if (owner !== undefined && own !== owner) {
    return `src/${from}.ts imports ${to}: take it as an argument, only src/${owner}/ imports ${other}/`;
  }
  if (!rule.mayImport.includes(other)) {
    return `src/${from}.ts imports ${to}: ${own} may import ${rule.mayImport.join(', ') || 'nothing'} and base`;
  }
  const threads = threadsOf(other);
  if (!isType && !threads.includes('any') && !threadsOf(own).some((thread) => threads.includes(thread))) {
    return `src/${from}.ts imports ${to}, which runs on another thread (${threads.join(', ')})`;
  }
  const isInside = own.startsWith(`${other}/`);
  const file = to.slice(other.length + 1);
  if (doors === undefined || isInside || doors.includes(file)) return undefined;
  return `src/${from}.ts imports ${to}: the door is ${doors.map((door) => `src/${other}/${door}.ts`).join(' or ')}`;
}

/** The first way from a node back to itself. */
function findCycle(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  const visit = (node: string, way: readonly string[]): string[] | undefined => {
    const start = way.indexOf(node);
    if (start >= 0) return [...way.slice(start), node];
    if (done.has(node)) return undefined;
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next, [...way, node]);
      if (cycle !== undefined) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of edges.keys()) {
    const cycle = visit(node, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function graph(imports: readonly Import[], nodeOf: (name: string) => string): Map<string, Set<string>> {
  const edges = new Map<string, Set<string>>();
  for (const { from, to } of imports) {
    const [source, target] = [nodeOf(from), nodeOf(to)];
    edges.set(source, (edges.get(source) ?? new Set()).add(target));
  }
  return edges;
}

/** A room puts the rooms in it together, and they use what it has: between those two there may be arrows both ways. */
function isNested({ from, to }: Import): boolean {
  const [own, other] = [roomOf(from), roomOf(to)];
  return own === other || own.startsWith(`${other}/`) || other.startsWith(`${own}/`);
}

const files = sourceFiles();
const imports = files.flatMap((file) => file.imports);
const inside = imports.filter(({ to }) => roomOf(to) in RULES);
const rooms = [...new Set(files.map(({ name }) => roomOf(name)))];

describe('the rooms of src/', () => {
  it('each say on which thread they run, in the first line of their README.md', () => {
    const faults = rooms.filter((room) => {
      const threads = threadsOf(room);
      return threads.length === 0 || threads.some((thread) => !THREADS.includes(thread));
    });
    assert.deepEqual(faults, []);
  });

  it('each have a rule, and no rule is about a room that is gone', () => {
    assert.deepEqual(Object.keys(RULES).sort(), rooms.sort());
  });

  it('are mirrored by the rooms of test/', () => {
    const ofTheWhole = ['docs', 'e2e', 'fuzz', 'golden', 'hostile', 'packaging', 'structure', 'support', 'torture'];
    const folders = readdirSync(join(ROOT, 'test'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
      .map(({ parentPath }) => parentPath.slice(join(ROOT, 'test').length + 1));
    const strangers = [...new Set(folders)].filter(
      (folder) => !ofTheWhole.includes(folder.split('/')[0] as string) && !existsSync(join(ROOT, 'src', folder)),
    );
    assert.deepEqual(strangers, [], 'these folders of test/ are no rooms of src/');
  });
});

describe('the imports of src/', () => {
  it('go through doors, in the direction of the arrows, and stay on their thread', () => {
    assert.deepEqual(
      imports.map(faultOf).filter((fault) => fault !== undefined),
      [],
    );
  });

  it('lead to files that exist', () => {
    const names = new Set(files.map(({ name }) => name));
    assert.ok(inside.length > 100, 'hardly an import was found: does this test still read them?');
    assert.deepEqual(
      inside.filter(({ to }) => !names.has(to)),
      [],
    );
    const doors = Object.entries(RULES).flatMap(([room, rule]) => (rule.doors ?? []).map((door) => `${room}/${door}`));
    assert.deepEqual(
      doors.filter((door) => !names.has(door)),
      [],
    );
  });

  it('are all used: no rule allows an arrow that nobody draws', () => {
    const drawn = new Set(inside.map(({ from, to }) => `${roomOf(from)} → ${roomOf(to)}`));
    const allowed = Object.entries(RULES).flatMap(([room, rule]) =>
      rule.mayImport.map((other) => `${room} → ${other}`),
    );
    assert.deepEqual(
      allowed.filter((arrow) => !drawn.has(arrow)),
      [],
    );
  });

  it('make no cycle between rooms, nor between files, not even by types', () => {
    const between = inside.filter((each) => !isNested(each));
    assert.equal(findCycle(graph(between, roomOf))?.join(' → '), undefined);
    assert.equal(findCycle(graph(inside, (name) => name))?.join(' → '), undefined);
  });

  it('of the pure floor name no module of Node.js, and its files no clock, process or console', () => {
    const pure = files.filter(({ name }) =>
      PURE.some((part) => (part.endsWith('/') ? name.startsWith(part) : name === part)),
    );
    assert.ok(pure.length > PURE.length);
    const faults = pure.flatMap(({ name, text, imports: own }) => {
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
      const globals = code.match(
        /\b(?:(?:Date|performance|process|console)\.[a-z]\w*|set(?:Timeout|Interval|Immediate)\b)/g,
      );
      return [...own.filter(({ to }) => to.startsWith('node:')).map(({ to }) => to), ...(globals ?? [])].map(
        (what) => `src/${name}.ts uses ${what}`,
      );
    });
    assert.deepEqual(faults, []);
  });

  it('are those of files that are about one thing each: there is no drawer for the rest', () => {
    assert.deepEqual(
      files.filter(({ name }) => /(^|\/)(util|utils|common|helpers?|misc)$/.test(name)),
      [],
    );
  });
});

describe('this test itself', () => {
  it('names the right door', () => {
    const fault = faultOf({ from: 'front/core/front', to: 'fcgi/decoder', isType: true });
    assert.equal(fault, 'src/front/core/front.ts imports fcgi/decoder: the door is src/fcgi/session.ts');
  });

  it('refuses an arrow that goes the wrong way, one to another thread, and a room without a rule', () => {
    const fault = (from: string, to: string, isType = true) => faultOf({ from, to, isType }) ?? '';
    assert.match(fault('fcgi/decoder', 'front/core/front'), /may import nothing/);
    assert.match(fault('front/core/front', 'logging/sinks/log'), /take it as an argument/);
    assert.match(fault('threads/workers', 'worker/inbox', false), /runs on another thread \(worker\)/);
    assert.match(fault('new/thing', 'pool/pool'), /has no rule/);
    assert.equal(fault('pool/pool', 'base/errors'), '');
  });

  it('reads imports however they are written', () => {
    const text = [
      "import a from 'node:a';",
      "import { type B, c } from './b.js';",
      "import {\n  type D,\n  type E,\n} from '../d/e.js';",
      "import type { F } from './f.js';",
      "import './g.js';",
      "export { h } from './h.js';",
      "export * from './i.js';",
      "const j = await import('./j.js');",
      "const text = `from './k.js'`;",
    ].join('\n');
    assert.deepEqual(
      importsOf('x/y', text).map(({ to, isType }) => (isType ? `type ${to}` : to)),
      ['node:a', 'x/b', 'type d/e', 'type x/f', 'x/g', 'x/h', 'x/i', 'x/j'],
    );
  });

  it('finds cycles', () => {
    const edges = (text: string): Map<string, Set<string>> =>
      graph(
        text.split(' ').map((edge) => ({ from: edge[0] as string, to: edge[1] as string, isType: false })),
        (name) => name,
      );
    assert.deepEqual(findCycle(edges('ab bc cd db')), ['b', 'c', 'd', 'b']);
    assert.deepEqual(findCycle(edges('aa')), ['a', 'a']);
    assert.equal(findCycle(edges('ab bc ac dc')), undefined);
  });
});
