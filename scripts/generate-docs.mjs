// Writes the files that are made from tables and comments in the code. Run by `npm run docs`; tests fail when a file is
// out of date. With --check it writes nothing, names the files that differ, and ends with status 1 if there are any.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { configurationPage, sampleConfig } from '../dist/src/config/config-docs.js';
import { manualPage } from '../dist/src/config/man-page.js';
import { optionNames } from '../dist/src/config/schema.js';
import { errorsPage } from './errors-page.mjs';
import { luaApiPage } from './lua-api.mjs';
import { luacheckSettings, luaTypes } from './lua-types.mjs';

const files = {
  'docs/configuration.md': configurationPage(),
  'docs/errors.md': errorsPage(),
  'docs/lua-api.md': luaApiPage(),
  'packaging/config.lua': sampleConfig(),
  'packaging/man/luafcgid.conf.5': manualPage(),
  'types/luacheckrc': luacheckSettings(optionNames),
  ...luaTypes(),
};
for (const [file, text] of Object.entries(files)) {
  if (!process.argv.includes('--check')) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  } else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    console.error(`${file} is out of date: run "npm run docs"`);
    process.exitCode = 1;
  }
}
