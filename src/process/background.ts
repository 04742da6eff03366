/**
 * Serving in the background (`daemonize`). Node.js cannot fork, so the process starts itself once more, in a session of
 * its own and without a terminal, and waits: until the other one serves, or has said why it does not.
 */
import { LuafcgidError } from '../base/errors.js';
import { passOn, type ServiceEnvironment } from './environment.js';

/** What the process in the background says to its parent. */
type News = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'ready' };

const EXIT_FAILED = 1;

/**
 * Starts this program again in the background.
 * @param args of its command line; names of files in it must be absolute
 * @param keptFds descriptors that it inherits, each with its number
 * @returns the status to end with: 0 once it serves, its own if it has ended
 * @throws LuafcgidError when it cannot be started, or ended without saying why
 */
export async function startInBackground(
  args: readonly string[],
  keptFds: readonly number[],
  service: ServiceEnvironment,
): Promise<number> {
  const fds = Math.max(2, ...keptFds) + 1;
  const stdio = Array.from({ length: fds }, (_, fd) => (keptFds.includes(fd) ? fd : ('ignore' as const)));
  const [program = ''] = process.argv.slice(1);
  // Loaded only here: it takes milliseconds of every start.
  const { spawn } = await import('node:child_process');
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, program, ...args], {
      // As daemon(3) does: no file system is kept from being unmounted.
      cwd: '/',
      detached: true,
      env: { ...process.env, ...passOn(service, process.pid) },
      stdio: [...stdio, 'ipc'],
    });
    const fail = (reason: string): void => reject(new LuafcgidError('LUAFCGID_SERVICE_BACKGROUND', { reason }));
    let hasSaidWhy = false;
    child.on('message', (news: News) => {
      if (news.kind === 'text') {
        hasSaidWhy = true;
        process.stderr.write(news.text);
        return;
      }
      child.disconnect();
      child.unref();
      resolve(0);
    });
    child.on('error', ({ message }) => fail(message));
    child.on('exit', (code, signal) => {
      if (signal !== null) fail(`${signal} ended it`);
      else if (hasSaidWhy) resolve(code ?? EXIT_FAILED);
      else fail(`it ended with status ${code}`);
    });
  });
}

/** This process is in the background, and its parent waits for it. */
let isAwaited = false;

/** Nobody waits any more, and nobody has been told that there is a server. */
const giveUp = (): void => process.exit(EXIT_FAILED);

/** To be called at the start of a process in the background. */
export function attachToParent(): void {
  isAwaited = true;
  process.once('disconnect', giveUp);
}

/** Says something on standard error, or in the background to the parent, as long as that waits. */
export function complain(text: string): void {
  if (isAwaited) process.send?.({ kind: 'text', text } satisfies News);
  else process.stderr.write(text);
}

/** Lets the parent end: this process serves. */
export function releaseParent(): void {
  if (!isAwaited) return;
  isAwaited = false;
  process.off('disconnect', giveUp);
  process.send?.({ kind: 'ready' } satisfies News, () => process.disconnect?.());
}
