/** Files of the document root that are no scripts, sent as they are. */
import { open } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { htmlTrailer } from './live-reload.js';
import { sendPage } from './pages.js';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.avif': 'image/avif',
  '.css': 'text/css; charset=utf-8',
  '.csv': 'text/csv; charset=utf-8',
  '.gif': 'image/gif',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.mp4': 'video/mp4',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
  '.xml': 'application/xml',
};

/** Whether the ending of a name says what type the file has. */
export function hasType(path: string): boolean {
  return extname(path).toLowerCase() in CONTENT_TYPES;
}

/** Sends a file, or 304 when the client has it already. Rejects only when the client has gone. */
export async function sendFile(request: IncomingMessage, response: ServerResponse, file: Buffer): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return sendPage(response, 405, 'This is a file: it can only be read.', { Allow: 'GET, HEAD' });
  }
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => error);
  if (handle instanceof Error) return sendPage(response, handle.code === 'EACCES' ? 403 : 404);
  try {
    const { size, mtime } = await handle.stat();
    const etag = `W/"${size.toString(16)}-${mtime.getTime().toString(16)}"`;
    response.setHeader('ETag', etag);
    response.setHeader('Last-Modified', mtime.toUTCString());
    // Kept, but asked for each time: a page under development changes.
    response.setHeader('Cache-Control', 'no-cache');
    if (isKnown(request, etag, mtime)) {
      response.writeHead(304).end();
      return;
    }
    const type = CONTENT_TYPES[extname(file.toString('latin1')).toLowerCase()] ?? 'application/octet-stream';
    const trailer = type.startsWith('text/html') ? htmlTrailer(response) : undefined;
    response.writeHead(200, {
      'Content-Type': type,
      'Content-Length': size + (trailer?.length ?? 0),
      'X-Content-Type-Options': 'nosniff',
    });
    if (request.method === 'HEAD' || size === 0) {
      response.end(trailer);
      return;
    }
    // Not more than was promised, though the file may be growing.
    await pipeline(handle.createReadStream({ end: size - 1, autoClose: false }), response, { end: false });
    response.end(trailer);
  } finally {
    await handle.close();
  }
}

/** If-None-Match decides when there is one, else If-Modified-Since, which knows whole seconds only (RFC 9110, 13.2.2). */
function isKnown(request: IncomingMessage, etag: string, mtime: Date): boolean {
  const { 'if-none-match': known, 'if-modified-since': since } = request.headers;
  if (known !== undefined) return known.split(',').some((one) => [etag, '*'].includes(one.trim()));
  return since !== undefined && Math.floor(mtime.getTime() / 1000) <= Math.floor(Date.parse(since) / 1000);
}
