/** The server gives up the rights of root once it has opened what only root may open. */
import { existsSync } from 'node:fs';
import { describeError, LuafcgidError } from '../base/errors.js';
import type { ListenAddress } from '../base/listen-address.js';
import type { Log, LogLevel } from '../logging/sinks/logs.js';
import { runsAsRoot } from '../process/user-change.js';

/**
 * @param becomeUser makes this process another user's; undefined: it stays what it is
 * @param warnLevel the level of warnings about the start
 */
export function giveUpRights(becomeUser: (() => void) | undefined, log: Log, warnLevel: LogLevel): void {
  becomeUser?.();
  if (runsAsRoot()) log.write(warnLevel, describeError(new LuafcgidError('LUAFCGID_USER_ROOT')));
}

/** Removing a socket takes the right to write to its folder, which the user that the server became may not have. */
export function reportSocketsLeft(addresses: readonly ListenAddress[], log: Log): void {
  for (const address of addresses) {
    if (address.kind !== 'unix' || !existsSync(address.path)) continue;
    log.write(
      'info',
      `the socket ${address.path} stays, since this user may not remove it; the next start replaces it`,
    );
  }
}
