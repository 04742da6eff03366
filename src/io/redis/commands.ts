/**
 * Which commands of Redis scripts may not send, and why: those that would change a connection that others use, too, and those
 * that would hold it. Pure.
 */

const SHARED = 'it would change the connection, which others use, too';
const HOLDS = 'it would hold the connection, on which others wait';
const ENDS = 'it would end the server or stop it from serving';

const REFUSED: Readonly<Record<string, string>> = {
  AUTH: `${SHARED}: name the user in the configuration`,
  HELLO: SHARED,
  RESET: SHARED,
  QUIT: SHARED,
  SELECT: `${SHARED}: a data source is one database; name another one in the configuration`,
  READONLY: SHARED,
  READWRITE: SHARED,
  ASKING: SHARED,
  MULTI: 'use r:multi, which sends all commands together',
  EXEC: 'use r:multi, which sends all commands together',
  DISCARD: 'use r:multi, which sends all commands together',
  WATCH: `${SHARED}: use a script (EVAL), which runs as a whole`,
  UNWATCH: SHARED,
  SUBSCRIBE: SHARED,
  PSUBSCRIBE: SHARED,
  SSUBSCRIBE: SHARED,
  UNSUBSCRIBE: SHARED,
  PUNSUBSCRIBE: SHARED,
  SUNSUBSCRIBE: SHARED,
  MONITOR: SHARED,
  SYNC: SHARED,
  PSYNC: SHARED,
  BLPOP: HOLDS,
  BRPOP: HOLDS,
  BRPOPLPUSH: HOLDS,
  BLMOVE: HOLDS,
  BLMPOP: HOLDS,
  BZPOPMIN: HOLDS,
  BZPOPMAX: HOLDS,
  BZMPOP: HOLDS,
  WAIT: HOLDS,
  WAITAOF: HOLDS,
  SHUTDOWN: ENDS,
  DEBUG: ENDS,
  FAILOVER: ENDS,
  REPLICAOF: ENDS,
  SLAVEOF: ENDS,
};

/** Parts of CLIENT that only tell something. */
const CLIENT_TELLS = new Set(['ID', 'INFO', 'LIST', 'GETNAME', 'HELP']);

/** Why a command is refused; undefined when it is not. @param words in bytes, one character each */
export function refusalOf(words: readonly string[]): string | undefined {
  const name = (words[0] ?? '').toUpperCase();
  const second = (words[1] ?? '').toUpperCase();
  if (name === '') return 'a command has a name';
  if (name === 'CLIENT') return CLIENT_TELLS.has(second) ? undefined : SHARED;
  if (name === 'SCRIPT') return second === 'DEBUG' ? SHARED : undefined;
  if ((name === 'XREAD' || name === 'XREADGROUP') && blocks(words)) return `${HOLDS}: leave BLOCK out`;
  return REFUSED[name];
}

/** BLOCK stands before STREAMS, after which come names. */
function blocks(words: readonly string[]): boolean {
  const upper = words.map((word) => word.toUpperCase());
  const streams = upper.indexOf('STREAMS');
  return upper.slice(1, streams < 0 ? upper.length : streams).includes('BLOCK');
}
