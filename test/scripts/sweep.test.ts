import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { LuafcgidError } from '../../src/base/errors.js';
import { type SeenScripts, type Swept, sweep } from '../../src/scripts/sweep.js';
import { tempDir } from '../support/cleanup.js';

type Findings = Parameters<Swept['refresh']>[0];

async function findings(
  inventory: Awaited<ReturnType<Swept['inventory']>>,
  find: (path: string) => Promise<string>,
  leadsTo = find,
  seen: SeenScripts = new Map(),
): Promise<Findings> {
  let found: Findings | undefined;
  await sweep(
    {
      inventory: async () => inventory,
      refresh: async (all) => {
        found = all;
        return { states: 0, files: [] };
      },
    },
    { find, leadsTo },
    seen,
  );
  assert.ok(found);
  return found;
}

describe('a sweep', () => {
  it('finds scripts that lead elsewhere or nowhere', async () => {
    const { moved } = await findings(
      {
        scripts: [
          ['/same', '/file'],
          ['/other', '/file'],
          ['/gone', '/file'],
        ],
        dependencies: new Map(),
      },
      async (path) => {
        if (path === '/gone') throw new LuafcgidError('LUAFCGID_SCRIPT_NOT_FOUND', { path });
        return path === '/other' ? '/another' : '/file';
      },
    );
    assert.deepEqual(moved, [
      ['/other', '/another'],
      ['/gone', undefined],
    ]);
  });

  it('sees whether a file may be run when it is another version, and else only where the path leads', async (t) => {
    const file = join(tempDir(t), 'a');
    const seen: SeenScripts = new Map();
    const looked: string[] = [];
    const look = async () => {
      const inventory = { scripts: [['/a', file]] as const, dependencies: new Map([[file, false]]) };
      const by = (how: string) => async (): Promise<string> => {
        looked.push(how);
        return file;
      };
      await findings(inventory, by('find'), by('leadsTo'), seen);
    };
    writeFileSync(file, 'text');
    await look();
    await look();
    writeFileSync(file, 'another text');
    await look();
    await look();
    rmSync(file);
    await look();
    assert.deepEqual(looked, ['find', 'leadsTo', 'find', 'leadsTo', 'find']);
  });

  it('takes no script for gone that could not be looked at for want of descriptors', async () => {
    const { moved } = await findings({ scripts: [['/a', '/file']], dependencies: new Map() }, async (path) => {
      throw new LuafcgidError('LUAFCGID_SCRIPT_NO_ROOM', { path, reason: 'EMFILE' });
    });
    assert.deepEqual(moved, []);
  });

  it('tells files that are there from files that are not', async (t) => {
    const dir = tempDir(t);
    writeFileSync(join(dir, 'a'), 'text');
    mkdirSync(join(dir, 'folder'));
    const { fingerprints } = await findings(
      { scripts: [], dependencies: new Map(['a', 'b', 'folder'].map((name) => [join(dir, name), true])) },
      async (path) => path,
    );
    assert.match(String(fingerprints.get(join(dir, 'a'))), /^4:.*#/);
    for (const name of ['b', 'folder']) {
      assert.ok(fingerprints.has(join(dir, name)));
      assert.equal(fingerprints.get(join(dir, name)), undefined);
    }
  });
});
