/** The dashboard and the alert rules: they ask for what a real server exports. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { catalogue } from '../../src/base/errors.js';
import { type Family, parseOpenMetrics } from '../status/openmetrics-parser.js';
import { ROOT, runCommand, startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

const read = (name: string): string => readFileSync(join(ROOT, 'packaging/monitoring', name), 'utf8');
const rules = read('alerts.yml');
const dashboard = JSON.parse(read('grafana-dashboard.json'));

/** What Prometheus adds to each sample. */
const TARGET_LABELS = ['instance', 'job', 'le'];
const FUNCTIONS = new Set('sum max min rate increase changes topk histogram_quantile label_values by and'.split(' '));
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total'],
  gauge: [''],
  histogram: ['_bucket', '_count', '_sum'],
  info: ['_info'],
};

interface Query {
  /** What asks, for messages. */
  readonly where: string;
  readonly expression: string;
  /** Where it names labels of the result. */
  readonly text: string;
}

/** A value of YAML as it stands on the line. */
const unquoted = (text: string): string => (text.startsWith('"') ? JSON.parse(text) : text);

function alerts(): Query[] {
  return rules
    .split(/^ {6}- alert: /m)
    .slice(1)
    .map((rule) => {
      const [name = ''] = rule.split('\n', 1);
      const value = (key: string): string => {
        const [, text = ''] = new RegExp(`^ +${key}: (.+)$`, 'm').exec(rule) ?? assert.fail(`${name} has no ${key}`);
        // What would make something else of it in YAML.
        if (!/^["{]/.test(text)) assert.doesNotMatch(text, /: | #|^[[\]&*!|>%@`']/, `${name}: ${key}`);
        return unquoted(text);
      };
      assert.match(value('severity'.replace('severity', 'labels')), /^\{ severity: (page|warn) \}$/, name);
      return { where: name, expression: value('expr'), text: `${value('summary')} ${value('description')}` };
    });
}

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}

const panels: readonly Panel[] = dashboard.panels;

function queries(): Query[] {
  const ofPanels = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({ where: title, expression: expr, text: legendFormat })),
  );
  const ofAnnotations = dashboard.annotations.list.map((one: Record<string, string>) => ({
    where: one.name,
    expression: one.expr,
    text: one.textFormat,
  }));
  const ofVariables = dashboard.templating.list
    .filter(({ type }: { type: string }) => type === 'query')
    .map(({ name, query }: Record<string, string>) => ({ where: name, expression: query, text: '' }));
  return [...ofPanels, ...ofAnnotations, ...ofVariables];
}

describe('what watches a server', () => {
  /** Labels by the names of samples. */
  const exported = new Map<string, Set<string>>();

  before(async () => {
    const server = await startServer(
      { after },
      {
        config: 'status = "status.sock" workers = 2 data = { main = "sqlite:app.db" }',
        files: {
          'hello.lua':
            'local luafcgid = require("luafcgid") function main(env, con) luafcgid.sleep(0.01) con:puts("hello") end',
          'fail.lua': 'function main() error("broken") end',
        },
      },
    );
    for (const script of ['hello.lua', 'fail.lua', 'none.lua']) await ask(server, script);
    const families = await eventually('all requests', async () => {
      const { stdout } = await runCommand(['status', server.config, '--openmetrics']);
      const all = parseOpenMetrics(stdout);
      return (all.get('luafcgid_requests')?.samples.length ?? 0) >= 2 && all;
    });
    for (const family of families.values()) add(family);
  });

  function add({ name, type, samples }: Family): void {
    for (const suffix of SUFFIXES[type] ?? []) {
      const labels = samples
        .filter((sample) => sample.name === name + suffix)
        .flatMap((sample) => Object.keys(sample.labels));
      exported.set(name + suffix, new Set(labels));
    }
  }

  /** Whether everything that a query names is there. */
  function check({ where, expression, text }: Query): void {
    const what = `${where}: ${expression}`;
    assert.equal(
      [...expression].filter((sign) => sign === '(').length,
      [...expression].filter((sign) => sign === ')').length,
      what,
    );
    const names = [...expression.matchAll(/luafcgid_\w+/g)].map(([name]) => name);
    assert.ok(names.length > 0 || where === 'LuafcgidDown', what);
    for (const name of names) assert.ok(exported.has(name), `${what}: no metric ${name}`);
    const known = new Set([...TARGET_LABELS, ...names.flatMap((name) => [...(exported.get(name) ?? [])])]);
    for (const [, name = '', selectors = ''] of expression.matchAll(/(\w+)\{([^}]*)\}/g)) {
      for (const [, label = ''] of selectors.matchAll(/(\w+)=~?"/g)) {
        const own = [...TARGET_LABELS, ...(exported.get(name) ?? [])];
        assert.ok(own.includes(label), `${what}: ${name} has no label ${label}`);
      }
    }
    // Labels that the result has: those that it is summed by, or all.
    const grouped = [...expression.matchAll(/by \(([^)]*)\)/g)].map(([, list = '']) => list.split(/, */));
    for (const label of grouped.flat()) assert.ok(known.has(label), `${what}: no label ${label}`);
    const result = grouped.length > 0 ? new Set(grouped.flat()) : known;
    for (const [, label = ''] of text.matchAll(/\{\{ ?(?:\$labels\.)?(\w+) ?\}\}/g)) {
      assert.ok(result.has(label), `${what}: the result has no label ${label} for "${text}"`);
    }
    const bare = expression.replace(/"[^"]*"|\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)/g, ' ');
    for (const [word] of bare.matchAll(/[a-z_]+/g)) {
      assert.ok(
        FUNCTIONS.has(word) || word.startsWith('luafcgid_') || word === 'up' || word === 'instance',
        `${what}: ${word}`,
      );
    }
    for (const [code] of expression.matchAll(/LUAFCGID_\w+/g)) assert.ok(code in catalogue, code);
  }

  it('are alert rules that ask for what there is', () => {
    const all = alerts();
    assert.ok(all.length >= 10);
    for (const alert of all) check(alert);
    assert.equal(new Set(all.map(({ where }) => where)).size, all.length);
  });

  it('is a dashboard that asks for what there is', () => {
    const all = queries();
    assert.ok(all.length >= 40);
    for (const query of all) check(query);
  });

  it('shows each metric of the server, but for a few', () => {
    const asked = [...queries(), ...alerts()].map(({ expression }) => expression).join('\n');
    const unused = [...exported.keys()].filter(
      (name) => !/_(bucket|count|sum)$/.test(name) && !new RegExp(`\\b${name}\\b`).test(asked),
    );
    assert.deepEqual(unused.sort(), UNUSED);
  });

  it('has panels beside each other, with an explanation each', () => {
    const taken = new Set<string>();
    for (const { title, type, description, gridPos } of panels) {
      if (type !== 'row') assert.ok((description ?? '').endsWith('.'), title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        assert.ok(x < 24, title);
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!taken.has(`${x} ${y}`), `${title} lies on another`);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });

  it('is scraped at the address that the documents have', () => {
    const target = /targets: \["(127\.0\.0\.1:\d+)"\]/.exec(read('prometheus.yml'))?.[1];
    assert.ok(read('prometheus.yml').includes(`status = "${target}"`));
    assert.ok(readFileSync(join(ROOT, 'docs/operating.md'), 'utf8').includes(`status = "${target}"`));
  });
});

/** Those that explain others, or are for single investigations. */
const UNUSED: readonly string[] = [
  'luafcgid_requests_direct_total',
  'luafcgid_requests_waiting_max',
  'luafcgid_script_blocked_waits_total',
  'luafcgid_script_clones_total',
  'luafcgid_script_memory_bytes',
  'luafcgid_script_sent_bytes_total',
  'luafcgid_script_states',
  'luafcgid_script_without_image_total',
  'luafcgid_shared_evictions_total',
  'luafcgid_shared_items',
  'luafcgid_source_connections_open',
];
