/** The commands' end of the status socket. */
import { request } from 'node:http';
import { LuafcgidError } from '../base/errors.js';
import { formatListenAddress } from '../base/listen-address.js';
import type { StatusAddress } from '../base/status-address.js';

export interface ControlAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * Asks a running server.
 * @param limitMs longest time without a sign of life
 * @throws LuafcgidError `LUAFCGID_CONTROL_UNREACHABLE`
 */
export function askServer(
  address: StatusAddress,
  method: 'GET' | 'POST',
  path: string,
  limitMs: number,
): Promise<ControlAnswer> {
  const place = address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port };
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const values = { address: formatListenAddress(address), reason: error.message };
      reject(new LuafcgidError('LUAFCGID_CONTROL_UNREACHABLE', values, error));
    };
    const asked = request({ ...place, method, path, headers: { Host: 'localhost' }, agent: false }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on('data', (piece: Buffer) => pieces.push(piece));
      answer.on('error', fail);
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(pieces).toString() }));
    });
    asked.setTimeout(limitMs, () => asked.destroy(new Error(`no answer within ${limitMs / 1000} s`)));
    asked.on('error', fail);
    asked.end();
  });
}
