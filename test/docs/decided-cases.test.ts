/** What was reported, and is as it is on purpose: the documents say so, and why. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from '../support/server.js';

const DECIDED: readonly { readonly which: string; readonly document: string; readonly says: RegExp }[] = [
  {
    which: 'that a client learns whether there is a file outside of root (attacks F13.8)',
    document: 'docs/operating.md',
    says: /A name outside of `root` is answered with 403 where a file is and with 404 where none is, so a client/,
  },
  {
    which: 'that a stop with io = "node" may reset a connection of that moment (attacks F13.10)',
    document: 'docs/operating.md',
    says: /With `io = "node"`, a connection that the kernel has accepted in that\s+very moment may be reset, since/,
  },
  {
    which: 'that a script with ever new lines fills the disk of the log (attacks F13.11)',
    document: 'docs/reliability.md',
    says: /a script with ever new lines fills the disk of the log/,
  },
  {
    which: 'that setuid programs work for native scripts (attacks F13.13)',
    document: 'docs/reliability.md',
    says: /Setuid programs\*\* work for native scripts[\s\S]*since programs that send mail/,
  },
  {
    which: 'that the configuration of the working directory is taken without an argument (attacks F13.15)',
    document: 'docs/operating.md',
    says: /working directory/,
  },
  {
    which: 'that a native state of some GiB takes long to be freed, and 0 means 4 GiB (fidelity D-A10)',
    document: 'docs/reliability.md',
    says: /A native state of some GiB\*\* takes a second or more to be freed[\s\S]*0 means 4 GiB/,
  },
  {
    which: 'that index-file.names belongs to the lines of lighttpd (fidelity D-B5)',
    document: 'docs/web-servers.md',
    says: /`index-file\.names` belongs to the lines to copy: without it/,
  },
  {
    which: 'that no web server asks another one after OVERLOADED (fidelity D-B7)',
    document: 'docs/web-servers.md',
    says: /With `overload = "protocol"` none of them asks another server by\s+itself/,
  },
  {
    which: 'that of a parameter which comes twice the last value counts (fidelity D-B8)',
    document: 'docs/lua-api.md',
    says: /name twice, the last value counts: nginx before 1\.23 and HAProxy/,
  },
  {
    which: 'that ProxyPassMatch and RewriteRule are not supported (reports Q1)',
    document: 'docs/web-servers.md',
    says: /Only `SetHandler` is supported[\s\S]*does not decode a `SCRIPT_FILENAME`, since/,
  },
  {
    which: 'that files and environment are faults with a native engine (users D8)',
    document: 'docs/configuration.md',
    says: /with a native engine, also with `--engine`, [^.]* a promise that is not kept/,
  },
  {
    which: 'that con:puts takes what gsub has counted (users D3)',
    document: 'docs/migrating-from-luafcgid.md',
    says: /`con:puts\(text:gsub\("<", "&lt;"\)\)`\*\* also puts how often/,
  },
  {
    which: 'what type(con) gives (users D4)',
    document: 'docs/migrating-from-luafcgid.md',
    says: /`type\(con\)` is `"table"`, where it was `"userdata"`/,
  },
  {
    which: 'that LPeg is for native engines, and what to do without it (users F6)',
    document: 'docs/existing-software.md',
    says: /\*\*LPeg\*\* is C\.[\s\S]*LuLPeg, an implementation in pure Lua/,
  },
  {
    which: 'that scripts share the connections of a data source (attacks P1)',
    document: 'docs/reliability.md',
    says: /\*\*Connections of a data source[\s\S]*others wait meanwhile, and then take turns with it/,
  },
  {
    which: 'that Lua 5.1 has no seed for its hash of strings (attacks F11)',
    document: 'docs/reliability.md',
    says: /\*\*Hash flooding in Lua 5\.1\*\*: it has no random seed/,
  },
  {
    which: 'that C modules need a native engine (users D13, B8)',
    document: 'docs/lua-api.md',
    says: /\*\*C modules\*\* cannot be loaded/,
  },
];

describe('the documents say', () => {
  for (const { which, document, says } of DECIDED) {
    it(which, () => assert.match(readFileSync(join(ROOT, document), 'utf8'), says));
  }
});
