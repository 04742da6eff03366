/** What scripts may send: nothing that smuggles another request, and redirects that keep secrets (data-access 3). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redirected } from '../../../src/io/http/redirects.js';
import { type HttpRequest, readRequest } from '../../../src/io/http/request.js';
import { code, encode, type Plain } from '../support/data-source.js';
import { httpSettings } from './support.js';

function read(fields: { readonly [name: string]: Plain }): HttpRequest {
  return readRequest(encode({ url: 'https://a.example/', ...fields }), httpSettings(), 0);
}

const refused = (fields: { readonly [name: string]: Plain }, why: RegExp): void =>
  assert.throws(
    () => read(fields),
    (error) => code('LUAFCGID_HTTP_ARGUMENT')(error) && why.test((error as Error).message),
    JSON.stringify(fields),
  );

describe('a request', () => {
  it('has no line ends or control characters where one could end it', () => {
    for (const character of ['\r\n', '\n', '\r', '\0', '\x7f']) {
      refused({ url: `https://a.example/${character}x` }, /URL/);
      refused({ headers: ['X-A', `a${character}Host: b`] }, /X-A/);
      refused({ headers: [`X-A${character}`, 'a'] }, /name of a header/);
      refused({ method: `GET${character}` }, /method/);
    }
    refused({ url: 'https://a.example/a b' }, /space/);
    refused({ url: 'https://a.example/\tb' }, /space/);
    refused({ method: 'GET / HTTP/1.1' }, /method/);
    refused({ headers: ['X A', 'a'] }, /name of a header/);
    refused({ headers: ['', 'a'] }, /name of a header/);
  });

  it('leaves to the client what says where a body ends and who is asked', () => {
    for (const name of ['Host', 'content-length', 'Transfer-Encoding', 'Connection', 'Expect', 'Upgrade', 'TE']) {
      refused({ headers: [name, 'x'] }, /set by the server itself/);
    }
    refused({ method: 'connect' }, /method/);
    refused({ method: 'TRACE' }, /method/);
    refused({ body: 'x' }, /GET has no body/);
  });

  it('goes to a web server, without a password in its address', () => {
    for (const url of [
      'ftp://a.example/',
      'file:///etc/passwd',
      'a.example',
      '',
      'https://',
      'https://u:p@a.example/',
      'https://u@a.example/',
    ]) {
      refused({ url }, /URL/);
    }
    const { url, method } = read({ url: 'HTTPS://A.EXAMPLE.:443/a?b=c#d', method: 'post' });
    assert.equal(url.href, 'https://a.example/a?b=c');
    assert.equal(method, 'POST');
    // Forms of an address that are not its usual one are that address.
    assert.equal(read({ url: 'http://0x7f.1/' }).url.hostname, '127.0.0.1');
    assert.equal(read({ url: 'http://2130706433/' }).url.hostname, '127.0.0.1');
  });

  it('asks for no more than the setting allows', () => {
    const { totalMs, answerMs, redirects, maxBodyBytes } = read({
      timeout: 0.5,
      answertimeout: 1,
      redirects: 3,
      maxbody: 10,
    });
    assert.deepEqual([totalMs, answerMs, redirects, maxBodyBytes], [500, 1000, 3, 10]);
    refused({ timeout: 3600 }, /timeout is 3600/);
    refused({ timeout: 0 }, /timeout/);
    refused({ maxbody: 2 ** 30 }, /maxbody/);
    refused({ redirects: 1000 }, /redirects/);
    refused({ redirects: 1.5 }, /redirects/);
    refused({ headers: new Array(300).fill('a') }, /headers/);
    assert.throws(() => read({ method: 'POST', body: Buffer.alloc(2 * 1024 * 1024) }), code('LUAFCGID_HTTP_SIZE'));
    assert.equal(readRequest(encode({ url: 'http://a.example/' }), httpSettings(), 200).totalMs, 200);
  });
});

describe('a redirect', () => {
  const post = read({
    url: 'https://a.example/x/y',
    method: 'POST',
    body: 'b',
    redirects: 2,
    headers: ['Authorization', 'secret', 'Cookie', 'c=1', 'Content-Type', 'text/plain', 'X-A', '1'],
  });

  it('takes no credentials to another server, and all headers to the same one', () => {
    assert.deepEqual(redirected(post, 307, '../z')?.headers, post.headers);
    const other = redirected(post, 307, 'https://b.example/');
    assert.deepEqual(other?.headers, ['Content-Type', 'text/plain', 'X-A', '1']);
    assert.deepEqual(redirected(post, 307, 'https://a.example:444/')?.headers, other?.headers);
    assert.equal(other?.redirects, 1);
  });

  it('keeps method and body where it has to, and else becomes GET without a body', () => {
    const methods = [301, 302, 303, 307, 308].map((status) => redirected(post, status, '/')?.method);
    assert.deepEqual(methods, ['GET', 'GET', 'GET', 'POST', 'POST']);
    assert.equal(redirected(post, 303, '/')?.body, undefined);
    assert.deepEqual(redirected(post, 303, '/')?.headers, ['Authorization', 'secret', 'Cookie', 'c=1', 'X-A', '1']);
    assert.equal(redirected(post, 307, '/')?.body?.toString(), 'b');
    assert.equal(redirected({ ...post, method: 'PUT' }, 301, '/')?.method, 'PUT');
    assert.equal(redirected({ ...post, method: 'HEAD' }, 303, '/')?.method, 'HEAD');
  });

  it('is only followed to a web server, and not from https to http', () => {
    for (const location of [
      'http://a.example/',
      'ftp://a.example/',
      'https://u:p@a.example/',
      '/a b',
      '/a\r\nb',
      'javascript:1',
    ]) {
      assert.throws(() => redirected(post, 302, location), code('LUAFCGID_HTTP_REDIRECT'), location);
    }
    assert.equal(redirected(post, 200, '/'), undefined);
    assert.equal(redirected(post, 302, undefined), undefined);
    assert.equal(redirected(post, 304, '/'), undefined);
  });
});
