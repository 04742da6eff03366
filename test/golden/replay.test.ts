/** What real web servers send, played to the session: see README.md. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseRequest } from '../../src/cgi/request.js';
import { decodeParams, ServerSession } from '../../src/fcgi/session.js';
import { ROOT } from '../support/server.js';

const FOLDER = join(ROOT, 'test/golden');

interface Played {
  readonly requests: { id: number; params: Map<string, string>; body: string; isEnded: boolean }[];
  readonly replies: string[];
  /** The web server wants the connection closed after the answer. */
  readonly closes: boolean;
}

function play(pieces: readonly Uint8Array[]): Played {
  const requests: Played['requests'] = [];
  const replies: string[] = [];
  const session = new ServerSession(
    { maxConnections: 10, maxRequests: 10 },
    {
      onRequest: (id, _role, params) => {
        const request = parseRequest(params);
        requests.push({ id, params: decodeParams(request.params), body: '', isEnded: false });
      },
      onBody: (id, bytes) => {
        const request = requests.find((each) => each.id === id) ?? assert.fail(`body of ${id}`);
        request.body += Buffer.from(bytes).toString('latin1');
      },
      onBodyEnd: (id) => {
        const request = requests.find((each) => each.id === id) ?? assert.fail(`end of ${id}`);
        request.isEnded = true;
      },
      onData: () => undefined,
      onDataEnd: () => undefined,
      onUnknownRole: () => undefined,
      onAbort: (id) => assert.fail(`abort of ${id}`),
      onParamsTooLarge: (id) => assert.fail(`parameters of ${id} are too large`),
      onReply: (bytes) => replies.push(Buffer.from(bytes).toString('latin1')),
    },
  );
  for (const piece of pieces) session.receive(piece);
  for (const { id } of requests) session.finish(id);
  return { requests, replies, closes: session.isDone };
}

const SERVERS = ['apache', 'caddy', 'haproxy', 'lighttpd', 'nginx'];
/** Those that leave the connection open. */
const KEEPS = new Set(['haproxy', 'nginx']);
const KINDS = {
  get: { method: 'GET', path: '/srv/www/dir/hello.lua', query: 'x=1&y=%20z', body: '' },
  post: { method: 'POST', path: '/srv/www/form.lua', query: '', body: 'a=1&b=two' },
  chunked: { method: 'POST', path: '/srv/www/form.lua', query: '', body: 'four on' },
};

describe('captured traffic', () => {
  it('is there for each server and request', () => {
    const names = SERVERS.flatMap((server) => Object.keys(KINDS).map((kind) => `${server}-${kind}.bin`));
    const found = readdirSync(FOLDER).filter((file) => file.endsWith('.bin'));
    assert.deepEqual(found.sort(), names.sort());
  });

  for (const server of SERVERS) {
    for (const [kind, { method, path, query, body }] of Object.entries(KINDS)) {
      it(`of ${server} is understood: ${kind}`, () => {
        const bytes = readFileSync(join(FOLDER, `${server}-${kind}.bin`));
        const whole = play([bytes]);
        const [request, ...others] = whole.requests;
        assert.ok(request);
        assert.equal(others.length, 0);
        assert.deepEqual([request.body, request.isEnded], [body, true]);
        const { params } = request;
        assert.equal(params.get('REQUEST_METHOD'), method);
        assert.equal(params.get('QUERY_STRING') ?? '', query);
        assert.equal(params.get('HTTP_HOST'), 'example.org');
        assert.equal(params.has('HTTP_PROXY'), false);
        assert.equal(whole.closes, !KEEPS.has(server));
        assert.equal(whole.replies.length, server === 'haproxy' ? 1 : 0);
        assert.deepEqual(play(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))), whole);
        for (let size = 2; size < 60; size += 7) {
          const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
            bytes.subarray(n * size, (n + 1) * size),
          );
          assert.deepEqual(play(pieces), whole);
        }
      });

      it(`of ${server} names the script and the length of its body: ${kind}`, () => {
        const bytes = readFileSync(join(FOLDER, `${server}-${kind}.bin`));
        let seen = 0;
        const session = new ServerSession(
          { maxConnections: 10, maxRequests: 10 },
          {
            onRequest: (_id, _role, params) => {
              const { scriptPath, contentLength, method: told } = parseRequest(params);
              assert.equal(scriptPath, path);
              assert.equal(told, method);
              assert.ok(contentLength === undefined || contentLength === body.length, String(contentLength));
              seen += 1;
            },
            onBody: () => {},
            onBodyEnd: () => {},
            onData: () => undefined,
            onDataEnd: () => undefined,
            onUnknownRole: () => undefined,
            onAbort: () => {},
            onParamsTooLarge: () => {},
            onReply: () => {},
          },
        );
        session.receive(bytes);
        assert.equal(seen, 1);
      });
    }
  }
});
