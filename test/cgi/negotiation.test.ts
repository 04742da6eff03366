/** In which form a client gets an error. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { errorFormFor } from '../../src/cgi/negotiation.js';
import { encodeParams } from '../../src/fcgi/session.js';

const formFor = (accept: string, type = ''): string =>
  errorFormFor(
    encodeParams([
      ['HTTP_ACCEPT', accept],
      ['CONTENT_TYPE', type],
    ]),
  );

it('an error has the form that the Accept header prefers: a page, JSON, or text', () => {
  for (const [accept, form] of [
    ['', 'html'],
    ['*/*', 'html'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'html'],
    ['application/json', 'json'],
    ['text/html, application/json', 'json'],
    ['text/html, application/json;q=0.5', 'html'],
    ['application/problem+json, text/plain;q=0.9', 'json'],
    ['text/plain, */*;q=0.9', 'text'],
    ['text/plain', 'text'],
    ['text/plain, text/html', 'html'],
    ['text/plain;q=0', 'html'],
  ] as const) {
    assert.equal(formFor(accept), form, accept);
  }
  assert.equal(formFor('*/*', 'application/json; charset=utf-8'), 'json');
  assert.equal(formFor('text/plain', 'application/json'), 'text');
});
