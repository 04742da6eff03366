/** What packages are made from: the tarball of npm, as it would be published. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { ROOT } from '../../support/server.js';

/** The environment of a machine where this Node.js, and its npm, come first. What is installed counts for no coverage. */
export const NODE_FIRST = {
  ...process.env,
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
  NODE_V8_COVERAGE: '',
};

/** Runs a program to its end and gives its standard output; a failure has everything that it wrote. */
export function runToEnd(command: string, args: readonly string[], cwd = ROOT, env: NodeJS.ProcessEnv = NODE_FIRST) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}\n${stderr}`);
  return stdout;
}

export interface Packed {
  /** The tarball. */
  readonly file: string;
  /** Bytes of the tarball. */
  readonly size: number;
  readonly version: string;
  /** Names within the package. */
  readonly names: readonly string[];
}

/** Packs what is built: the build is made before all tests. */
export function packForNpm(folder: string): Packed {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const packed = JSON.parse(runToEnd('npm', args));
  // npm 12 names the package, older ones give a list.
  const [{ filename, size, version, files }] = Array.isArray(packed) ? packed : Object.values(packed);
  return { file: join(folder, filename), size, version, names: files.map(({ path }: { path: string }) => path) };
}
