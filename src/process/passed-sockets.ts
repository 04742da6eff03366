/** Which of the sockets that a service manager has passed are listened on (`listen = "systemd"`). */

import { describeError, LuafcgidError } from '../base/errors.js';
import { formatListenAddress, type ListenAddress, type ListenSetting } from '../base/listen-address.js';
import type { PassedSocket } from './environment.js';

/** Whether a passed socket is the one that an address means: the configuration then need not be changed for systemd. */
function isAt({ address }: PassedSocket, setting: ListenSetting): boolean {
  if (address?.kind === 'unix') return setting.kind === 'unix' && setting.path === address.path;
  if (address?.kind !== 'tcp' || setting.kind !== 'tcp' || setting.port !== address.port) return false;
  const meant = MEANT[setting.host] ?? [setting.host.toLowerCase()];
  return meant.includes(address.host);
}

/** What a socket of this host may be bound to. */
const MEANT: Readonly<Record<string, readonly string[]>> = {
  '': ['::', '0.0.0.0'],
  localhost: ['127.0.0.1', '::1'],
};

/**
 * Where to listen: the addresses of a configuration, with those of systemd as the descriptors that they are. An address
 * at which a passed socket listens means this socket.
 * @param warn takes a line for each socket that nobody listens on
 * @throws LuafcgidError when a socket is wanted that was not passed
 */
export function socketsOf(
  settings: readonly ListenSetting[],
  passed: readonly PassedSocket[],
  warn: (text: string) => void,
): ListenAddress[] {
  const addresses = new Map<number | string, ListenAddress>();
  for (const setting of settings) {
    if (setting.kind !== 'systemd') {
      const same = passed.filter((socket) => isAt(socket, setting));
      for (const { fd, name } of same) addresses.set(fd, { kind: 'fd', fd, name });
      if (same.length > 0) continue;
      addresses.set(setting.kind === 'fd' ? setting.fd : formatListenAddress(setting), setting);
      continue;
    }
    const wanted = passed.filter(({ name }) => setting.name === undefined || name === setting.name);
    if (wanted.length === 0) {
      const others = passed.map(({ name }) => name).join(', ');
      const values = { address: formatListenAddress(setting), passed: others === '' ? 'no socket' : `only ${others}` };
      throw new LuafcgidError('LUAFCGID_LISTEN_NOT_PASSED', values);
    }
    for (const { fd, name } of wanted) addresses.set(fd, { kind: 'fd', fd, name });
  }
  for (const { fd, name } of passed) {
    if (!addresses.has(fd)) warn(describeError(new LuafcgidError('LUAFCGID_LISTEN_UNUSED', { name })));
  }
  return [...addresses.values()];
}
