/** `luafcgid top`: the scripts and requests of a running server, again and again, in a plain terminal. */
import { setTimeout as sleep } from 'node:timers/promises';
import { askServer } from '../control/client.js';
import { renderTop, SORT_KEYS, type SortKey, type TopStatus } from '../status/top.js';
import { UsageError } from './command-line.js';
import { addressOf } from './control.js';
import { findServer } from './find-server.js';
import type { Outcome } from './prepare.js';

const EVERY_MS = 2_000;
const ASK_MS = 10_000;
const CLEAR = '\x1b[H\x1b[J';
const CTRL_C = '\x03';

/** @param sort key of what to sort by @param count ends after so many looks; without it, with `q` or Ctrl-C */
export async function showTop(where: string | undefined, sort: unknown, count: unknown): Promise<Outcome> {
  let key = sortKeyOf(sort ?? 'r');
  const most = count === undefined ? Number.POSITIVE_INFINITY : Number(count);
  if (!(most >= 1)) throw new UsageError(`--count ${count}: a number of looks is expected`);
  const address = addressOf(findServer(where));
  const { stdin, stdout } = process;
  const isTerminal = stdout.isTTY && stdin.isTTY;
  let isOver = false;
  let wake = new AbortController();
  const press = (text: Buffer): void => {
    const pressed = text.toString();
    if (pressed === 'q' || pressed === CTRL_C) isOver = true;
    else if (pressed in SORT_KEYS) key = pressed as SortKey;
    wake.abort();
  };
  if (isTerminal) stdin.setRawMode(true).on('data', press);
  try {
    let before: TopStatus | undefined;
    for (let look = 1; !isOver; look += 1) {
      const { status, text } = await askServer(address, 'GET', '/?json', ASK_MS);
      if (status !== 200) throw new Error(text.trimEnd());
      const now = JSON.parse(text) as TopStatus;
      const rows = isTerminal ? stdout.rows : Number.POSITIVE_INFINITY;
      stdout.write(`${isTerminal ? CLEAR : ''}${renderTop(now, before, key, rows, stdout.columns || 120)}`);
      before = now;
      if (look >= most) break;
      wake = new AbortController();
      await sleep(EVERY_MS, undefined, { signal: wake.signal }).catch(() => {});
    }
  } finally {
    if (isTerminal) stdin.off('data', press).setRawMode(false).pause();
  }
  return { exitCode: 0 };
}

function sortKeyOf(text: unknown): SortKey {
  if (typeof text === 'string' && text in SORT_KEYS) return text as SortKey;
  throw new UsageError(`--sort ${text}: one of ${Object.keys(SORT_KEYS).join(', ')} is expected`);
}
