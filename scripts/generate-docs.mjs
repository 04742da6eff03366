// Writes the files that are made from tables in the code. Run by `npm run docs`; tests fail when a file is out of date.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { configurationPage, sampleConfig } from '../dist/src/config/document.js';

const files = {
  'docs/configuration.md': configurationPage(),
  'packaging/config.lua': sampleConfig(),
};
for (const [file, text] of Object.entries(files)) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
