/** What an error page shows of the request, and what not. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeRequest } from '../../src/cgi/request-detail.js';
import { encodeParams } from '../../src/fcgi/session.js';

it('a request is shown with its address and headers, and without its secrets', () => {
  const { method, url, headers } = describeRequest(
    encodeParams([
      ['REQUEST_METHOD', 'POST'],
      ['REQUEST_URI', '/a.lua?x=1&reset_token=s3cret&y=2'],
      ['QUERY_STRING', 'x=1&reset_token=s3cret&y=2'],
      ['HTTP_USER_AGENT', 'curl'],
      ['HTTP_COOKIE', 's3cret'],
      ['HTTP_AUTHORIZATION', 's3cret'],
      ['HTTP_X_API_KEY', 's3cret'],
      ['HTTP_REFERER', 'http://a/?password=s3cret'],
      ['HTTP_X_LONG', 'x'.repeat(5000)],
      ['CONTENT_TYPE', 'text/plain'],
      ['SERVER_NAME', 'localhost'],
    ]),
  );
  assert.deepEqual([method, url], ['POST', '/a.lua?x=1&reset_token=(hidden)&y=2']);
  assert.deepEqual(headers, [
    ['Authorization', '(hidden)'],
    ['Content-Type', 'text/plain'],
    ['Cookie', '(hidden)'],
    ['Referer', 'http://a/?password=(hidden)'],
    ['User-Agent', 'curl'],
    ['X-Api-Key', '(hidden)'],
    ['X-Long', `${'x'.repeat(300)}...`],
  ]);
});

it('an address is put together where the web server sends none', () => {
  const params = encodeParams([
    ['SCRIPT_NAME', '/a.lua'],
    ['PATH_INFO', '/b'],
    ['QUERY_STRING', 'c=d'],
  ]);
  assert.equal(describeRequest(params).url, '/a.lua/b?c=d');
});
