/** The release script, in a repository of its own: what it looks at, and what it makes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { version } from '../../src/base/version.js';
import { tempDir } from '../support/cleanup.js';
import { ROOT } from '../support/server.js';
import { findProgram } from '../support/web-server.js';
import { runToEnd } from './support/pack.js';

/** What a checkout has, and the modules that the build has made. */
const PARTS = ['bin', 'docs', 'examples', 'packaging', 'scripts', 'skeleton', 'types', 'src', 'dist/src'];
const IDENTITY = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];

describe('the release script', () => {
  const dir = tempDir({ after });
  const checkout = join(dir, 'checkout');
  const bin = join(dir, 'bin');
  const env = {
    ...process.env,
    NODE_V8_COVERAGE: '',
    PATH: bin,
    GIT_AUTHOR_NAME: 'test',
    GIT_AUTHOR_EMAIL: 'test@localhost',
    GIT_COMMITTER_NAME: 'test',
    GIT_COMMITTER_EMAIL: 'test@localhost',
  };
  const git = (...args: string[]): string => runToEnd('git', [...IDENTITY, ...args], checkout).trim();
  const release = (...args: string[]) => {
    const all = ['scripts/release.mjs', ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { cwd: checkout, env, encoding: 'utf8' });
    return { status, text: stdout + stderr };
  };
  const dryRun = (of = version) => release(of, '--dry-run', '--without-tests');

  before(() => {
    for (const name of PARTS) cpSync(join(ROOT, name), join(checkout, name), { recursive: true });
    for (const { name } of readdirSync(ROOT, { withFileTypes: true }).filter(
      (entry) => entry.isFile() && entry.name !== '.git',
    )) {
      cpSync(join(ROOT, name), join(checkout, name));
    }
    symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
    // Only what it needs: no package for Debian is made here, which takes long.
    mkdirSync(bin);
    symlinkSync(process.execPath, join(bin, 'node'));
    for (const name of ['git', 'npm', 'sh']) symlinkSync(findProgram(name) ?? assert.fail(name), join(bin, name));
    git('init', '--quiet', '--initial-branch=main');
    writeFileSync(join(checkout, '.git/info/exclude'), 'node_modules\n');
    const file = join(checkout, 'CHANGELOG.md');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^## \S+ .*$/m, `## ${version} - 2026-02-03`));
    git('add', '--all');
    git('commit', '--quiet', '--message', 'all');
  });

  it('looks at everything, shows the notes and makes nothing in a dry run', () => {
    const { status, text } = dryRun();
    assert.equal(status, 0, text);
    assert.match(text, /\nThe notes:\n\nA new server in place of the C daemon/);
    assert.match(text, /### Added/);
    assert.doesNotMatch(text, /^FAULT/m);
    assert.match(text, /nothing was made: this was a dry run\n$/);
    assert.equal(git('tag'), '');
    assert.equal(git('status', '--porcelain'), '');
    assert.equal(existsSync(join(checkout, 'dist/release')), false);
  });

  it('names each place that has another version, and another repository than the one that this comes from', () => {
    git('remote', 'add', 'origin', 'git@git.example:someone/else.git');
    const { status, text } = dryRun('9.9.9');
    git('remote', 'remove', 'origin');
    assert.equal(status, 1);
    for (const name of [
      'package.json',
      'package-lock.json',
      'packaging/man/luafcgid.1',
      'packaging/man/luafcgid.conf.5',
    ]) {
      assert.ok(text.includes(`         ${name} has ${version}\n`), `${name}\n${text}`);
    }
    assert.match(text, /there is no section "## 9\.9\.9 - DATE"/);
    assert.match(
      text,
      /package\.json names the repository\n +it has https:.*, and origin is https:\/\/git\.example\/someone\/else\n/,
    );
    assert.match(text, /faults: nothing was made\n$/);
  });

  it('wants everything committed, and the version to have its date', () => {
    const file = join(checkout, 'CHANGELOG.md');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(`## ${version} - 2026-02-03`, `## ${version} (unreleased)`));
    const run = dryRun();
    writeFileSync(file, text);
    assert.equal(run.status, 1);
    assert.match(run.text, /commit or remove: CHANGELOG\.md\n/);
    assert.ok(
      run.text.includes(`its head is "## ${version} (unreleased)": write "## ${version} - YYYY-MM-DD"`),
      run.text,
    );
  });

  it('finds documents that are not those of the code', () => {
    const file = join(checkout, 'docs/errors.md');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, `${text}\nmore\n`);
    git('commit', '--all', '--quiet', '--message', 'more');
    const run = dryRun();
    git('reset', '--hard', '--quiet', 'HEAD~1');
    assert.equal(run.status, 1);
    assert.match(run.text, /docs\/errors\.md is out of date: run "npm run docs"/);
  });

  it('takes a version and nothing else', () => {
    for (const args of [[], ['2'], ['v2.0.0'], ['2.0.0', '2.0.1']])
      assert.equal(release(...args).status, 2, args.join(' '));
  });

  it('makes the package, its sum, the notes and the tag, and publishes nothing', () => {
    const { status, text } = release(version, '--without-tests');
    assert.equal(status, 0, text);
    const folder = join(checkout, 'dist/release');
    const tarball = `luafcgid-${version}.tgz`;
    assert.deepEqual(readdirSync(folder).sort(), ['SHA256SUMS', tarball, 'notes.md']);
    const sum = createHash('sha256')
      .update(readFileSync(join(folder, tarball)))
      .digest('hex');
    assert.equal(readFileSync(join(folder, 'SHA256SUMS'), 'utf8'), `${sum}  ${tarball}\n`);
    assert.match(readFileSync(join(folder, 'notes.md'), 'utf8'), /^A new server in place of the C daemon/);
    assert.equal(git('tag'), `v${version}`);
    assert.equal(git('cat-file', '-t', `v${version}`), 'tag');
    assert.match(text, /to publish it:\n {2}git push origin v/);
    const again = release(version, '--without-tests');
    assert.deepEqual([again.status, /there is a tag v/.test(again.text)], [1, true]);
  });
});
