// What making a Lua state takes, in this process, without a server around it: `node one-state.mjs PROGRAM ENGINE SCRIPT`
// prints the microseconds of each. A process of its own, since a process can load one native library only.
import { readFileSync } from 'node:fs';

const [program, name, script] = /** @type {[string, string, string]} */ (process.argv.slice(2));
const { createEngine, prepareEngine } = await import(new URL('../dist/src/lua/engine.js', `file://${program}`).href);

const WARMUP = 200;
const STATES = 500;
/** As many as are alive at a time; older ones are closed, outside of what is measured. */
const ALIVE = 100;

const engine = createEngine(prepareEngine('bench', name));
const source = readFileSync(script);
const options = {
  host: { log: () => {}, readSource: () => undefined },
  memoryBytes: 64 << 20,
  directory: '/',
  path: [],
  config: {},
};
const micros = [];
const alive = [];
for (let count = 0; count < WARMUP + STATES; count += 1) {
  const begin = performance.now();
  const state = engine.createState(options);
  state.run(source, `@${script}`);
  if (count >= WARMUP) micros.push((performance.now() - begin) * 1000);
  alive.push(state);
  if (alive.length > ALIVE) alive.shift().close();
}
process.stdout.write(JSON.stringify(micros));
