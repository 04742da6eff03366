/** The error catalogue and its page say the same, and the code uses all of it and nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Blame, type CatalogueEntry, catalogue, type ErrorCode, LuafcgidError } from '../../src/base/errors.js';
import { ROOT, sourceFiles } from './source-tree.js';

const entries: [string, CatalogueEntry][] = Object.entries(catalogue);

const WHO: Readonly<Record<Blame, string>> = {
  peer: 'the client or the web server',
  script: 'the author of the script',
  operator: 'the operator of the server',
  bug: 'the developers of luafcgid',
};

/** The page's sections: what each says, by its code. */
function sectionsOf(page: string): Map<string, Record<string, string>> {
  const sections = new Map<string, Record<string, string>>();
  for (const part of page.split(/^### /m).slice(1)) {
    const code = /^`(\w+)`\n/.exec(part)?.[1] ?? assert.fail(`a section without a code: ${part.slice(0, 80)}`);
    assert.ok(!sections.has(code), `${code} is there twice`);
    const fields: Record<string, string> = {};
    for (const [, name = '', value = ''] of part.matchAll(/^- \*\*(.+?):\*\* (.+)$/gm)) fields[name] = value;
    sections.set(code, fields);
  }
  return sections;
}

describe('docs/errors.md', () => {
  const sections = sectionsOf(readFileSync(join(ROOT, 'docs/errors.md'), 'utf8'));

  it('lists exactly the codes of the catalogue, each chapter once (users, correction 9)', () => {
    assert.deepEqual([...sections.keys()].sort(), entries.map(([code]) => code).sort());
    const chapters = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8').match(/^## .*$/gm) ?? [];
    assert.equal(new Set(chapters).size, chapters.length);
  });

  for (const [code, { blame, status, message, solve }] of entries) {
    it(`says of ${code} what the catalogue says`, () => {
      assert.deepEqual(sections.get(code), {
        Message: `\`${message}\``,
        'Who has to act': WHO[blame],
        'HTTP status': status === 0 ? 'none' : String(status),
        'How to solve': solve,
      });
    });
  }
});

describe('the catalogue', () => {
  it('has codes of the form LUAFCGID_AREA_FACT', () => {
    // LUAFCGID_BUG is the one that belongs to no area.
    const odd = entries.map(([code]) => code).filter((code) => !/^LUAFCGID(_[A-Z]+){2,}$/.test(code));
    assert.deepEqual(odd, ['LUAFCGID_BUG']);
  });

  it('has a message, a remedy and a status that HTTP knows for each', () => {
    for (const [code, { status, message, solve }] of entries) {
      assert.ok(message.length > 0, code);
      assert.match(solve, /^[A-Z`n].*\.$/s, `${code}: the remedy is a sentence`);
      assert.doesNotMatch(message, /\.$/, `${code}: the message is no sentence, others go on after it`);
      assert.ok(status === 0 || (status >= 400 && status <= 599), code);
    }
  });

  it('is used: each code somewhere in src/, and no code that it has not', () => {
    const others = sourceFiles().filter(({ name }) => name !== 'errors');
    const used = new Set<string>();
    for (const { text } of others) {
      for (const [, code] of text.matchAll(/['"](LUAFCGID_[A-Z_]+)['"]/g)) used.add(code as string);
      // Codes put together from an area and a fact: `LUAFCGID_SCRIPT_${fact}`.
      for (const [, area] of text.matchAll(/`(LUAFCGID_[A-Z]+_)\$\{/g)) {
        for (const [, fact] of text.matchAll(/'([A-Z][A-Z_]+)'/g)) {
          if (`${area}${fact}` in catalogue) used.add(`${area}${fact}`);
        }
      }
    }
    // Names of variables of the environment look like codes and are none.
    for (const variable of ['LUAFCGID_VERSION', 'LUAFCGID_BACKGROUND', 'LUAFCGID_SUCCESSOR']) used.delete(variable);
    assert.deepEqual([...used].sort(), entries.map(([code]) => code).sort());
  });

  it('has its values filled into message and remedy', () => {
    const error = new LuafcgidError('LUAFCGID_GATEWAY_PORT', { port: 80, host: '$& {port}' });
    assert.equal(error.message, 'port 80 on $& {port} is in use by another program');
    const open = new LuafcgidError('LUAFCGID_FCGI_VERSION', {});
    assert.match(open.message, /\{version\}/);
  });

  it('gives each error its code, blame, status and cause', () => {
    for (const [code, { blame, status }] of entries) {
      const cause = new Error('why');
      const error = new LuafcgidError(code as ErrorCode, {}, cause);
      assert.deepEqual([error.code, error.blame, error.status, error.cause], [code, blame, status, cause]);
      assert.ok(error instanceof Error);
    }
  });
});
