import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ErrorGroups } from '../../src/metrics/error-groups.js';

const note = (groups: ErrorGroups, text: string, nowMs = 0, changes = {}): void =>
  groups.note({ script: '/srv/a.lua', request: 'r-1', text, isOfScript: false, ...changes }, nowMs);

describe('errors of scripts', () => {
  it('are counted by script, line and code; what they say of their data does not tell them apart', () => {
    const groups = new ErrorGroups();
    note(groups, 'LUAFCGID_SCRIPT_FAILED: /srv/a.lua:3: no user 17\nstack traceback:\n\t/srv/a.lua:3: in main', 10);
    note(groups, 'LUAFCGID_SCRIPT_FAILED: /srv/a.lua:3: no user 18', 20, { request: 'r-2' });
    note(groups, 'LUAFCGID_SCRIPT_FAILED: /srv/lib.lua:9: other', 30);
    assert.deepEqual(groups.list(), [
      {
        script: '/srv/a.lua',
        place: '/srv/lib.lua:9',
        code: 'LUAFCGID_SCRIPT_FAILED',
        count: 1,
        firstMs: 30,
        lastMs: 30,
        text: '/srv/lib.lua:9: other',
        request: 'r-1',
      },
      {
        script: '/srv/a.lua',
        place: '/srv/a.lua:3',
        code: 'LUAFCGID_SCRIPT_FAILED',
        count: 2,
        firstMs: 10,
        lastMs: 20,
        text: '/srv/a.lua:3: no user 18',
        request: 'r-2',
      },
    ]);
  });

  it('that a script logs itself have no code, whatever they say', () => {
    const groups = new ErrorGroups();
    note(groups, 'LUAFCGID_BUG: not really', 0, { isOfScript: true });
    assert.deepEqual(
      groups.list().map(({ code, text }) => [code, text]),
      [['', 'LUAFCGID_BUG: not really']],
    );
  });

  it('are bounded: the group that has not happened for longest makes room', () => {
    const groups = new ErrorGroups();
    for (let at = 0; at < 500; at += 1) {
      note(groups, `/srv/a.lua:${at}: failed ${'x'.repeat(10_000)}`, at);
      note(groups, '/srv/often.lua:1: failed', at);
    }
    const list = groups.list();
    assert.equal(list.length, 200);
    assert.deepEqual([list[0]?.place, list[0]?.count], ['/srv/often.lua:1', 500]);
    assert.ok(list.every(({ text }) => text.length <= 500));
  });
});
