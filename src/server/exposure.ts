/** What a configuration shows to others, or lets them run, perhaps without its author knowing. */
import { describeError, LuafcgidError } from '../base/errors.js';
import { formatListenAddress, type ListenAddress } from '../base/listen-address.js';
import { isLoopback } from '../base/status-address.js';
import type { ServerParts } from './parts.js';

/** Logs a warning for each. */
export function warnOfExposure({ current, listeners, log }: Pick<ServerParts, 'current' | 'listeners' | 'log'>): void {
  const { showErrors, root } = current.loaded.config;
  const open = listeners.addresses.filter(isPublic).map(formatListenAddress).join(', ');
  if (showErrors && open !== '') {
    log.write('warn', describeError(new LuafcgidError('LUAFCGID_SERVER_SHOWS_ERRORS', { address: open })));
  }
  if (root.length === 0) log.write('warn', describeError(new LuafcgidError('LUAFCGID_SERVER_NO_ROOT')));
}

/** Whether other machines may reach it. */
function isPublic(address: ListenAddress): boolean {
  return address.kind === 'tcp' && !isLoopback(address.host);
}
