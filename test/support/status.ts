/** What a server with the setting `status = "status.sock"` says of itself. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { join } from 'node:path';
import type { Server } from './server.js';

export interface ShownRequest {
  /** Its name. */
  readonly request: string;
  readonly stage: string;
  readonly script: string;
  readonly waits_for: string;
  readonly stage_ms: number;
}

export interface ShownScript {
  readonly script: string;
  readonly blocked_waits: number;
  readonly states: number;
}

export interface ShownStatus {
  readonly server: { readonly resident_bytes: number };
  readonly connections: { readonly open: number; readonly lent: number; readonly opened_total: number };
  readonly requests: { readonly running: number; readonly suspended: number; readonly total: number };
  readonly states: { readonly total: number; readonly idle: number };
  readonly running: readonly ShownRequest[];
  readonly scripts: readonly ShownScript[];
  readonly limits: readonly { readonly name: string; readonly used: number; readonly limit: number }[];
}

export async function statusOf(server: Server): Promise<ShownStatus> {
  const text = await new Promise<string>((resolve, reject) => {
    const request = http.request({ socketPath: join(server.dir, 'status.sock'), path: '/?json' }, (answer) => {
      let received = '';
      answer.on('data', (piece) => {
        received += piece;
      });
      answer.on('end', () => (answer.statusCode === 200 ? resolve(received) : reject(new Error(received))));
    });
    request.on('error', reject);
    request.end();
  });
  assert.notEqual(text, '');
  return JSON.parse(text) as ShownStatus;
}
