// The compiler copies no Lua: put every .lua file of src/ beside the compiled code that reads it.
import { cpSync, statSync } from 'node:fs';
import { extname } from 'node:path';

cpSync('src', 'dist/src', {
  recursive: true,
  filter: (file) => statSync(file).isDirectory() || ['.lua', '.html'].includes(extname(file)),
});
