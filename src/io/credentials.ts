/** What a driver proves itself with, and what the server has to prove: passwords and TLS. Runs in the I/O thread. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { DataError } from './protocol.js';
import type { ResolvedSource } from './sources.js';

/** The password, read anew for each connection: the file may change. @throws DataError that names the file */
export async function readPassword({ name, passwordFile, password }: ResolvedSource): Promise<string | undefined> {
  if (passwordFile === undefined) return password;
  try {
    // An editor leaves a newline at the end.
    return (await readFile(passwordFile, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new DataError('LUAFCGID_DATA_CONNECT', { source: name, reason: `cannot read ${passwordFile} (${code})` });
  }
}

/** Options of Node.js for TLS; false: none is used. @throws DataError that names the file of certificates */
export async function tlsOptions({ name, host, tls }: ResolvedSource): Promise<ConnectionOptions | false> {
  if (tls.mode === 'off') return false;
  const serverName = tls.serverName ?? host;
  const options: ConnectionOptions = {
    rejectUnauthorized: tls.mode === 'verify',
    // An address is no name to ask for (RFC 6066, 3).
    ...(isIP(serverName) === 0 && { servername: serverName }),
    // Libraries put the host in the place of the name.
    checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
  };
  if (tls.caFile === undefined) return options;
  try {
    return { ...options, ca: await readFile(tls.caFile) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new DataError('LUAFCGID_DATA_CONNECT', { source: name, reason: `cannot read ${tls.caFile} (${code})` });
  }
}
