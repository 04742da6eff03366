/** docs/getting-started.md does what it says, from the first file to the last page. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Walk } from './support/walk.js';

it('getting started works as it is shown', async (t) => {
  await new Walk(t).document('docs/getting-started.md');
});

it('the systemd unit starts the command that the document installs, with its configuration', (t) => {
  const walk = new Walk(t);
  walk.saveFiles('docs/getting-started.md');
  const unit = walk.file('/etc/systemd/system/luafcgid.service');
  const [, command, config] = /^ExecStart=(\S+) (\S+)$/m.exec(unit) ?? [];
  assert.equal(command, '/usr/local/bin/luafcgid');
  assert.equal(config, walk.path('/etc/luafcgid/config.lua'));
  assert.match(unit, /^RuntimeDirectory=luafcgid$/m);
});
