/** Which of the sockets that a service manager has passed are listened on (`listen = "systemd"`). */

import { describeError, LuafcgidError } from '../base/errors.js';
import { formatListenAddress, type ListenAddress, type ListenSetting } from '../base/listen-address.js';
import type { PassedSocket } from './environment.js';

/**
 * Where to listen: the addresses of a configuration, with those of systemd as the descriptors that they are.
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
