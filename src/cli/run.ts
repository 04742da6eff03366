/** Running a script once. */

import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { LuafcgidError } from '../base/errors.js';
import type { Overrides } from '../config/load.js';
import type { ScriptCall } from '../gateway/script-call.js';
import type { Server } from '../server/server.js';
import { type Outcome, startPrivately } from './prepare.js';

/** What `luafcgid run` is given. */
export interface RunOptions {
  readonly method: string | undefined;
  readonly query: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** File to send as the body; `-` is standard input. */
  readonly body: string | undefined;
  /** File for the profile; left out: none is made. */
  readonly profile: string | undefined;
  readonly config: string | undefined;
  readonly overrides: Overrides;
}

/** `luafcgid run SCRIPT`: the same server as always, for one request. */
export async function runScript(script: string, options: RunOptions): Promise<Outcome> {
  // Without a script there is no request to answer: better said here than with a page of status 404.
  readInput(script);
  const body = options.body === undefined ? undefined : readInput(options.body === '-' ? STDIN : options.body);
  const { callScript } = await import('../gateway/script-call.js');
  const { server, socket, close } = await startPrivately(
    options.config ?? null,
    { ...options.overrides, ...NAMED_SCRIPT },
    true,
  );
  try {
    const call: ScriptCall = {
      script: resolve(script),
      method: options.method ?? (body === undefined ? 'GET' : 'POST'),
      query: options.query,
      headers: options.headers,
      body,
    };
    const { status, appStatus } =
      options.profile === undefined
        ? await callScript(socket, call, (bytes) => process.stdout.write(bytes))
        : await profileScript(server, socket, call, options.profile);
    return { exitCode: appStatus !== 0 ? appStatus & 0xff || EXIT_FAILED : status < 500 ? 0 : EXIT_FAILED };
  } finally {
    await close();
  }
}

/** The same with a profile. Only the first answer is printed. */
async function profileScript(
  server: Server,
  socket: string,
  call: ScriptCall,
  file: string,
): Promise<{ readonly status: number; readonly appStatus: number }> {
  const [{ profile }, { callScript }] = await Promise.all([
    import('./profile.js'),
    import('../gateway/script-call.js'),
  ]);
  const title = `${call.method} ${call.script}${call.query === '' ? '' : `?${call.query}`}`;
  const repeats = call.method === 'GET' || call.method === 'HEAD';
  let isFirst = true;
  const { html, first } = await profile(server, { title, repeats }, () => {
    const prints = isFirst;
    isFirst = false;
    return callScript(socket, call, (bytes) => {
      if (prints) process.stdout.write(bytes);
    });
  });
  writeFileSync(file, html);
  process.stderr.write(`luafcgid: the profile is in ${file}\n`);
  return first;
}

/**
 * Whoever names a script wants that one, whatever its name is. For one request a thread of its own for sockets takes longer
 * to start than it saves.
 */
const NAMED_SCRIPT: Overrides = { workers: 1, extensions: '*', accesslog: '', io: 'node' };

const STDIN = 0;
const EXIT_FAILED = 1;

/** @throws LuafcgidError `LUAFCGID_RUN_FILE` */
export function readInput(file: string | typeof STDIN): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const reason = (error as Error).message.split(', ', 1)[0];
    throw new LuafcgidError('LUAFCGID_RUN_FILE', { file: file === STDIN ? 'standard input' : file, reason }, error);
  }
}
