/** Who may import whom: each folder has doors, and arrows between folders go one way. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { folderOf, type Import, importsOf, sourceFiles } from './source-tree.js';

interface Rule {
  /** The files that outsiders may import. */
  readonly doors: readonly string[];
  /** The folders and top files whose doors its own files may import; `errors` is open to all. */
  readonly mayImport: readonly string[];
}

const RULES: Readonly<Record<string, Rule>> = {
  main: { doors: [], mayImport: ['commands', 'config', 'service', 'version'] },
  commands: {
    doors: ['commands'],
    mayImport: ['config', 'http', 'linux', 'log', 'lua', 'server', 'service', 'version'],
  },
  server: {
    doors: ['server/server'],
    mayImport: ['config', 'front', 'linux', 'log', 'lua', 'ops', 'service', 'worker'],
  },
  errors: { doors: ['errors'], mayImport: [] },
  'byte-string': { doors: ['byte-string'], mayImport: [] },
  'bounded-text': { doors: ['bounded-text'], mayImport: [] },
  version: { doors: ['version'], mayImport: [] },
  fcgi: { doors: ['fcgi/session'], mayImport: [] },
  cgi: {
    doors: ['cgi/request', 'cgi/response', 'cgi/error-page', 'cgi/script-name', 'cgi/status'],
    mayImport: ['fcgi'],
  },
  channel: {
    doors: [
      'channel/ring',
      'channel/interrupts',
      'channel/loans',
      'channel/offer-slots',
      'channel/sleeper',
      'channel/messages',
      'channel/fingerprint',
    ],
    mayImport: [],
  },
  pool: { doors: ['pool/pool'], mayImport: ['channel'] },
  front: {
    doors: ['front/create-front', 'front/handle', 'front/script-lookup'],
    mayImport: ['fcgi', 'cgi', 'pool', 'channel', 'config', 'linux', 'log'],
  },
  worker: { doors: ['worker/workers'], mayImport: ['channel', 'lua', 'cgi', 'config', 'fcgi', 'linux'] },
  lua: { doors: ['lua/state', 'lua/engine'], mayImport: ['cgi'] },
  linux: {
    doors: [
      'linux/exec',
      'linux/futex',
      'linux/threads',
      'linux/epoll',
      'linux/eventfd',
      'linux/libc',
      'linux/log-socket',
      'linux/sockets',
      'linux/socket-address',
      'linux/datagram',
      'linux/file-lock',
      'linux/thread-clock',
    ],
    mayImport: ['channel'],
  },
  service: {
    doors: [
      'service/background',
      'service/environment',
      'service/notify',
      'service/passed-sockets',
      'service/pid-file',
    ],
    mayImport: ['config', 'linux'],
  },
  http: { doors: ['http/gateway', 'http/script-call'], mayImport: ['fcgi'] },
  log: {
    doors: ['log/access-format', 'log/invisible', 'log/line', 'log/repeats', 'log/target'],
    mayImport: ['channel', 'fcgi'],
  },
  config: { doors: ['config/load'], mayImport: ['log', 'lua'] },
  ops: {
    doors: ['ops/logs', 'ops/housekeeping', 'ops/user-change'],
    mayImport: ['channel', 'config', 'linux', 'log'],
  },
};

/** Only the place where the server is put together hands out logs and metrics: all others get them as arguments. */
const IMPORTED_BY_SERVER_ONLY = 'ops';

/** What everything may import. */
const OPEN_TO_ALL: readonly string[] = ['errors', 'byte-string', 'bounded-text'];

/** Files whose results depend on their arguments alone. */
const PURE = [
  'byte-string',
  'bounded-text',
  'fcgi/',
  'cgi/',
  'pool/',
  'channel/messages',
  'channel/fingerprint',
  'log/',
  'config/options/',
  'config/units',
  'config/schema',
  'front/access-trace',
  'front/actions',
  'front/answers',
  'front/audit',
  'front/connection',
  'front/crash-tally',
  'front/watchdog',
  'front/crew',
  'front/drain',
  'front/front',
  'front/loans',
  'front/look-ups',
  'front/reading-on',
  'front/relief',
  'front/request',
  'front/timeouts',
  'front/worker-link',
  'service/environment',
  'service/passed-sockets',
];

/** What is wrong with an import, in words; undefined when it is allowed. */
function faultOf({ from, to }: Import): string | undefined {
  if (to.startsWith('node:') || !RULES[folderOf(to)]) return undefined;
  const [own, other] = [folderOf(from), folderOf(to)];
  if (own === other || OPEN_TO_ALL.includes(to)) return undefined;
  const rule = RULES[own];
  const { doors } = RULES[other] as Rule;
  if (rule === undefined) return `src/${from}.ts: "${own}" has no rule: add it to this test`;
  if (other === IMPORTED_BY_SERVER_ONLY && folderOf(from) !== 'server') {
    return `src/${from}.ts imports ${to}: take it as an argument, only src/server/ imports ${other}/`;
  }
  if (!rule.mayImport.includes(other)) {
    return `src/${from}.ts imports ${to}: ${own} may import ${rule.mayImport.join(', ') || 'nothing'} and errors`;
  }
  if (doors.includes(to)) return undefined;
  return `src/${from}.ts imports ${to}: the door is ${doors.map((door) => `src/${door}.ts`).join(' or ')}`;
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
    if (source === target && nodeOf === folderOf) continue;
    edges.set(source, (edges.get(source) ?? new Set()).add(target));
  }
  return edges;
}

const files = sourceFiles();
const imports = files.flatMap((file) => file.imports);

describe('the imports of src/', () => {
  it('go through doors, in the direction of the arrows', () => {
    assert.deepEqual(
      imports.map(faultOf).filter((fault) => fault !== undefined),
      [],
    );
  });

  it('lead to files that exist', () => {
    const names = new Set(files.map(({ name }) => name));
    const inside = imports.filter(({ to }) => folderOf(to) in RULES);
    assert.ok(inside.length > 100, 'hardly an import was found: does this test still read them?');
    assert.deepEqual(
      inside.filter(({ to }) => !names.has(to)),
      [],
    );
    const doors = Object.values(RULES).flatMap((rule) => rule.doors);
    assert.deepEqual(
      doors.filter((door) => !names.has(door)),
      [],
    );
  });

  it('make no cycle between folders, nor between files that run', () => {
    assert.equal(findCycle(graph(imports, folderOf))?.join(' → '), undefined);
    const running = imports.filter(({ isType }) => !isType);
    assert.equal(findCycle(graph(running, (name) => name))?.join(' → '), undefined);
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
    const fault = faultOf({ from: 'front/front', to: 'fcgi/decoder', isType: true });
    assert.equal(fault, 'src/front/front.ts imports fcgi/decoder: the door is src/fcgi/session.ts');
  });

  it('refuses an arrow that goes the wrong way, and a folder without a rule', () => {
    assert.match(faultOf({ from: 'fcgi/decoder', to: 'front/front', isType: false }) ?? '', /may import nothing/);
    assert.match(faultOf({ from: 'front/front', to: 'ops/log', isType: true }) ?? '', /take it as an argument/);
    assert.match(faultOf({ from: 'new/thing', to: 'pool/pool', isType: true }) ?? '', /has no rule/);
    assert.equal(faultOf({ from: 'pool/pool', to: 'errors', isType: false }), undefined);
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
