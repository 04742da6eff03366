/** The status page's script, run on the JSON form of a status: what a person sees. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createContext, runInContext } from 'node:vm';
import { renderJson } from '../../src/status/json.js';
import type { Status } from '../../src/status/model.js';
import { STATUS_PAGE } from '../../src/status/page.js';
import { PAGE_SCRIPT } from '../../src/status/page-script.js';
import { eventually } from '../support/shared.js';
import { sampleStatus } from './sample.js';

/** As much of an element as the script uses. */
class FakeElement {
  readonly tag: string;
  children: FakeElement[] = [];
  textContent = '';
  className = '';
  scrollLeft = 0;
  max = 0;
  value = 0;
  readonly dataset: Record<string, string> = {};
  readonly classList = { add: () => {} };

  constructor(tag: string) {
    this.tag = tag;
  }

  get firstChild(): FakeElement | undefined {
    return this.children[0];
  }
  append(...more: FakeElement[]): void {
    this.children.push(...more);
  }
  replaceChildren(...all: FakeElement[]): void {
    this.children = all;
  }
  setAttribute(): void {}

  /** All elements of a kind below this one. */
  all(tag: string): FakeElement[] {
    return this.children.flatMap((child) => [...(child.tag === tag ? [child] : []), ...child.all(tag)]);
  }
  /** What one reads. */
  get text(): string {
    return [this.textContent, ...this.children.map((child) => child.text)].filter((part) => part !== '').join(' ');
  }
}

/** Runs the page on a status; the elements that it has filled, by id. */
async function shown(status: Status): Promise<(id: string) => FakeElement> {
  const ids = [...STATUS_PAGE.matchAll(/ id="(\w+)"/g)].map(([, id]) => id as string);
  const elements = new Map(ids.map((id) => [id, new FakeElement('div')]));
  const faults: string[] = [];
  const document = {
    hidden: false,
    getElementById: (id: string) => elements.get(id) ?? faults.push(`the page has no element ${id}`),
    createElement: (tag: string) => new FakeElement(tag),
    createElementNS: (_space: string, tag: string) => new FakeElement(tag),
    addEventListener: () => {},
  };
  const fetch = async () => ({ ok: true, json: async () => JSON.parse(renderJson(status).toString()) });
  const globals = { document, fetch, setInterval: () => {}, Node: FakeElement, Element: FakeElement };
  runInContext(PAGE_SCRIPT, createContext(globals));
  const get = (id: string): FakeElement => elements.get(id) ?? assert.fail(`the page has no element ${id}`);
  await eventually('the figures', () => get('states').children.length > 0 || get('news').textContent !== '');
  assert.equal(get('news').textContent, '');
  assert.deepEqual(faults, []);
  return get;
}

const rowsOf = (element: FakeElement): string[][] =>
  element.all('tr').map((row) => row.children.map((cell) => cell.text));

describe('the status page', () => {
  it('has shared dictionaries with what they hold, evict and refuse', async () => {
    const get = await shown(sampleStatus());
    assert.deepEqual(rowsOf(get('dictionaries')), [
      ['Name', 'Values', 'Used', '', 'Hits', 'Misses', 'Expired', 'Evicted', 'No room'],
      ['cache', '12', '1.0 MiB of 16.0 MiB', '', '30', '4', '2', '3', '0'],
    ]);
    const [bar] = get('dictionaries').all('meter');
    assert.deepEqual([bar?.value, bar?.max], [2 ** 20, 16 * 2 ** 20]);
  });

  it('says where there is nothing to show', async () => {
    const { server, ...others } = sampleStatus();
    const get = await shown({ ...others, errors: [], server: { ...server, dictionaries: [], sources: [] } });
    assert.equal(get('dictionaries').text, 'No shared dictionary is configured.');
    assert.equal(get('sources').text, 'No data source is configured.');
    assert.equal(get('errors').text, 'No errors since the start.');
  });

  it('lists requests with what they wait for, scripts, limits and data sources', async () => {
    const status = sampleStatus();
    const get = await shown(status);
    const [request] = [...status.running, ...status.waiting];
    assert.ok(get('requests').text.includes(request?.request ?? '-'));
    for (const id of ['scripts', 'limits', 'workers', 'sources', 'errors', 'states']) {
      assert.ok(rowsOf(get(id)).length > 1, id);
    }
    assert.equal(get('tiles').children.length, 8);
  });
});
