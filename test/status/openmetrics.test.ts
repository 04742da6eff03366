/** The text that Prometheus reads, by a strict parser of the format. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderOpenMetrics } from '../../src/status/openmetrics.js';
import { parseOpenMetrics } from './openmetrics-parser.js';
import { sampleScript, sampleStatus, times } from './sample.js';

const render = (...args: Parameters<typeof sampleStatus>) =>
  parseOpenMetrics(renderOpenMetrics(sampleStatus(...args)).toString());

describe('OpenMetrics', () => {
  it('is correct, and each family says what it is', () => {
    const families = render();
    assert.ok(families.size > 30);
    for (const { name, help, type } of families.values()) {
      assert.ok(help?.endsWith('.'), name);
      assert.notEqual(type, 'unknown', name);
      assert.match(name, /^luafcgid_[a-z_]+$/);
    }
  });

  it('has the values of the status, times in seconds', () => {
    const families = render({ scripts: [sampleScript('/srv/a.lua', { run: times(8, 10), wait: times(2, 14) })] });
    const value = (family: string, sample: string, labels: Record<string, string> = {}): number | undefined =>
      families
        .get(family)
        ?.samples.find(
          (each) => each.name === sample && Object.entries(labels).every(([name, text]) => each.labels[name] === text),
        )?.value;
    assert.equal(value('luafcgid_requests_waiting', 'luafcgid_requests_waiting'), 1);
    assert.equal(value('luafcgid_oldest_wait_seconds', 'luafcgid_oldest_wait_seconds'), 3.1);
    assert.equal(value('luafcgid_start_time_seconds', 'luafcgid_start_time_seconds'), 1_000);
    const refused = { code: 'LUAFCGID_POOL_FULL', status: '503' };
    assert.equal(value('luafcgid_requests_refused', 'luafcgid_requests_refused_total', refused), 3);
    assert.equal(value('luafcgid_requests', 'luafcgid_requests_total', { status: '5xx' }), 1);
    assert.equal(value('luafcgid_source_up', 'luafcgid_source_up', { source: 'main' }), 1);
    // Place 10 holds times up to 64 ms, place 14 up to 1.024 s.
    const run = 'luafcgid_request_run_seconds';
    assert.equal(value(run, `${run}_bucket`, { le: '0.016' }), 0);
    assert.equal(value(run, `${run}_bucket`, { le: '0.064' }), 8);
    assert.equal(value(run, `${run}_sum`), 0.008);
    const wait = 'luafcgid_request_wait_seconds';
    assert.deepEqual([value(wait, `${wait}_bucket`, { le: '0.256' }), value(wait, `${wait}_count`)], [0, 2]);
  });

  it('escapes names of scripts, whatever they hold', () => {
    const script = '/srv/"quoted"\\back\nline{}.lua';
    const samples = render({ scripts: [sampleScript(script)] }).get('luafcgid_script_states')?.samples;
    assert.deepEqual(
      samples?.map(({ labels }) => labels.script),
      [script],
    );
  });

  it('holds a thousand scripts, each once', () => {
    const scripts = Array.from({ length: 1_000 }, (_, at) => sampleScript(`/srv/${at}.lua`));
    const families = render({ scripts });
    assert.equal(families.get('luafcgid_script_states')?.samples.length, 1_000);
  });

  it('is correct for a server that has done nothing yet', () => {
    const { requests, server } = sampleStatus();
    render({
      scripts: [],
      running: [],
      workers: [],
      limits: [],
      errors: [],
      requests: { ...requests, refused: [] },
      server: { ...server, sources: [], lastReload: undefined },
    });
  });
});

describe('the parser of these tests', () => {
  const faults: readonly (readonly [what: string, text: string])[] = [
    ['no end', '# TYPE a gauge\na 1\n'],
    ['text behind the end', '# TYPE a gauge\na 1\n# EOF\n\n'],
    ['an empty line', '# TYPE a gauge\n\na 1\n# EOF\n'],
    ['a counter without _total', '# TYPE a counter\na 1\n# EOF\n'],
    ['a negative counter', '# TYPE a counter\na_total -1\n# EOF\n'],
    ['a family in two pieces', '# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na{x="1"} 1\n# EOF\n'],
    ['a sample twice', '# TYPE a gauge\na{x="1"} 1\na{x="1"} 2\n# EOF\n'],
    ['a sample of no family', '# TYPE a gauge\nb 1\n# EOF\n'],
    ['a bad escape', '# TYPE a gauge\na{x="\\q"} 1\n# EOF\n'],
    ['a label twice', '# TYPE a gauge\na{x="1",x="2"} 1\n# EOF\n'],
    ['no number', '# TYPE a gauge\na one\n# EOF\n'],
    ['a unit that is not in the name', '# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n'],
    ['a histogram without +Inf', '# TYPE a histogram\na_bucket{le="1.0"} 1\na_count 1\na_sum 1\n# EOF\n'],
    [
      'buckets that fall',
      '# TYPE a histogram\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\na_count 1\na_sum 1\n# EOF\n',
    ],
    ['a count that differs', '# TYPE a histogram\na_bucket{le="+Inf"} 1\na_count 2\na_sum 1\n# EOF\n'],
    ['a clash of names', '# TYPE a counter\na_total 1\n# TYPE a_total gauge\na_total 1\n# EOF\n'],
  ];
  for (const [what, text] of faults) it(`refuses ${what}`, () => assert.throws(() => parseOpenMetrics(text)));
});
