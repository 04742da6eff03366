/** The commands for a running server: they ask its status socket, or send a signal where there is none. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { LuafcgidError } from '../base/errors.js';
import type { StatusAddress } from '../base/status-address.js';
import { askServer, type ControlAnswer } from '../control/client.js';
import { isRunning } from '../process/pid-file.js';
import { type FoundServer, findServer } from './find-server.js';
import type { Outcome } from './prepare.js';

const ASK_MS = 10_000;
const PING_MS = 3_000;
/** A reload starts workers, and a stop finishes requests: who waits for them has time. */
const CHANGE_MS = 120_000;
const LOOK_AGAIN_MS = 50;

export function addressOf({ address, name }: FoundServer): StatusAddress {
  if (address === undefined) throw new LuafcgidError('LUAFCGID_CONTROL_NO_STATUS', { where: name });
  return address;
}

function print(answer: ControlAnswer): Outcome {
  const isDone = answer.status < 400;
  (isDone ? process.stdout : process.stderr).write(answer.text);
  return { exitCode: isDone ? 0 : 1 };
}

/** `luafcgid status` */
export async function showStatus(where: string | undefined, form: 'text' | 'json' | 'openmetrics'): Promise<Outcome> {
  return print(await askServer(addressOf(findServer(where)), 'GET', `/?${form}`, ASK_MS));
}

/** `luafcgid ping` */
export async function pingServer(where: string | undefined, isQuiet: boolean): Promise<Outcome> {
  try {
    const answer = await askServer(addressOf(findServer(where)), 'GET', '/ping', PING_MS);
    return isQuiet ? { exitCode: answer.status === 200 ? 0 : 1 } : print(answer);
  } catch (error) {
    if (!isQuiet) throw error;
    return { exitCode: 1 };
  }
}

/** `luafcgid log` */
export async function showErrors(where: string | undefined, isJson: boolean): Promise<Outcome> {
  return print(await askServer(addressOf(findServer(where)), 'GET', isJson ? '/errors?json' : '/errors', ASK_MS));
}

/** `luafcgid stack` */
export async function showStack(request: string, where: string | undefined): Promise<Outcome> {
  const path = `/stack?request=${encodeURIComponent(request)}`;
  return print(await askServer(addressOf(findServer(where)), 'POST', path, ASK_MS));
}

/** `luafcgid reload` */
export async function reloadServer(where: string | undefined): Promise<Outcome> {
  const found = findServer(where);
  if (found.address !== undefined) return print(await askServer(found.address, 'POST', '/reload', CHANGE_MS));
  if (found.pid !== undefined) await hasHandler(found.pid, constants.signals.SIGHUP);
  return signal(found, 'SIGHUP', 'it reads its configuration anew; its log has the outcome');
}

/** `luafcgid reopen` */
export async function reopenLogs(where: string | undefined): Promise<Outcome> {
  const found = findServer(where);
  if (found.address !== undefined) return print(await askServer(found.address, 'POST', '/reopen', ASK_MS));
  return signal(found, 'SIGUSR1', 'it opens its log files anew');
}

/** `luafcgid stop`: waits until the server has ended. */
export async function stopServer(where: string | undefined): Promise<Outcome> {
  const found = findServer(where);
  if (found.address === undefined) {
    const outcome = signal(found, 'SIGTERM', 'it stops');
    return (await hasEnded(() => found.pid !== undefined && isRunning(found.pid))) ? outcome : stillRuns();
  }
  const answer = print(await askServer(found.address, 'POST', '/stop', ASK_MS));
  if (answer.exitCode !== 0) return answer;
  const { address } = found;
  return (await hasEnded(() => answers(address))) ? answer : stillRuns();
}

function stillRuns(): Outcome {
  process.stderr.write(`luafcgid: the server still runs after ${CHANGE_MS / 1000} s\n`);
  return { exitCode: 1 };
}

async function answers(address: StatusAddress): Promise<boolean> {
  return askServer(address, 'GET', '/ping', PING_MS).then(
    () => true,
    () => false,
  );
}

async function hasEnded(runs: () => boolean | Promise<boolean>): Promise<boolean> {
  for (const endMs = performance.now() + CHANGE_MS; performance.now() < endMs; await sleep(LOOK_AGAIN_MS)) {
    if (!(await runs())) return true;
  }
  return false;
}

/** Waits until a process handles a signal: one that starts, or restarts itself, would be ended by it. */
async function hasHandler(pid: number, signal: number): Promise<void> {
  const isHandled = (): boolean => {
    try {
      const [, caught = ''] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
      return (BigInt(`0x${caught}`) >> BigInt(signal - 1)) % 2n === 1n;
    } catch {
      return true; // no such system, or no such process: the signal tells
    }
  };
  for (const endMs = performance.now() + CHANGE_MS; !isHandled() && performance.now() < endMs; )
    await sleep(LOOK_AGAIN_MS);
}

function signal({ pid, name }: FoundServer, kind: NodeJS.Signals, what: string): Outcome {
  if (pid === undefined) {
    const reason = 'its configuration has neither status nor the pidfile of a process that runs';
    throw new LuafcgidError('LUAFCGID_CONTROL_NOT_FOUND', { where: name, reason });
  }
  process.kill(pid, kind);
  process.stdout.write(`process ${pid} got ${kind}: ${what}\n`);
  return { exitCode: 0 };
}
