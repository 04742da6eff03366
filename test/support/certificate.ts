/** Certificates for servers of tests. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cleanup, tempDir } from './cleanup.js';

export interface Certificate {
  readonly keyFile: string;
  readonly certificateFile: string;
  readonly key: string;
  readonly certificate: string;
}

/** Makes a certificate that is signed by itself. @param name the host that it is for */
export function makeCertificate(t: Cleanup, name: string): Certificate {
  const dir = tempDir(t);
  const keyFile = join(dir, 'server.key');
  const certificateFile = join(dir, 'server.crt');
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  execFileSync('openssl', [...request, ...subject, '-keyout', keyFile, '-out', certificateFile], { stdio: 'pipe' });
  const read = (file: string): string => readFileSync(file, 'utf8');
  return { keyFile, certificateFile, key: read(keyFile), certificate: read(certificateFile) };
}
