/** The Authorizer role (FastCGI 1.0, 6.3): what grants, and that nothing else does (fidelity D-C1). */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FILES, HOLD, REFUSALS } from '../support/authorizers.js';
import type { Cleanup } from '../support/cleanup.js';
import {
  type Answer,
  beginRequest,
  FcgiConnection,
  PROTOCOL_STATUS,
  pairs,
  ROLE,
  request,
  scriptParams,
  stream,
  TYPE,
} from '../support/fcgi-client.js';
import { type Server, startServer } from '../support/server.js';
import { ask, eventually, shared } from '../support/shared.js';

function start(t: Cleanup, config = '', files: Readonly<Record<string, string>> = FILES): Promise<Server> {
  return startServer(t, {
    files,
    config: ({ scripts }) =>
      `workers = 1 watchdog = 1 memory = 32 * 2^20 socketmode = "0666" authscript = ${JSON.stringify(join(scripts, 'authorize.lua'))} ${config}`,
  });
}

/** Asks as a web server does: for a file below its document root, without STDIN, on a connection for this request. */
async function authorize(server: Server, what: string, file = 'private/secret.txt'): Promise<Answer> {
  const { CONTENT_LENGTH: _length, SCRIPT_NAME: _name, ...params } = scriptParams(server.path(file));
  const connection = await FcgiConnection.connect(server.socket);
  try {
    connection.begin(1, { role: ROLE.AUTHORIZER });
    connection.params(1, { ...params, QUERY_STRING: `do=${what}` });
    const response = await connection.response(1);
    await connection.closed();
    const [head = ''] = response.stdout.toString('latin1').split('\r\n\r\n', 1);
    const status = Number(/^Status: (\d+)/.exec(head)?.[1]);
    return { ...response, status, raw: response.stdout } as unknown as Answer;
  } finally {
    connection.destroy();
  }
}

function assertRefused({ raw, protocolStatus }: Answer, status: number, what: string): void {
  const text = raw.toString('latin1');
  assert.match(text, new RegExp(`^Status: ${status} `), what);
  assert.doesNotMatch(text, /Variable-/i, what);
  assert.equal(protocolStatus, PROTOCOL_STATUS.REQUEST_COMPLETE, what);
}

describe('an Authorizer over the wire', () => {
  const server = shared((t) => start(t, 'statuspath = "/status"'));

  it('that returns true answers with status 200, its variables and no body, byte for byte', async () => {
    for (const what of ['grant', 'slept']) {
      const { raw, appStatus, protocolStatus } = await authorize(server(), what);
      const greeting = what === 'grant' ? 'Variable-GREETING: hi\r\n' : '';
      assert.equal(raw.toString('latin1'), `Status: 200 OK\r\nVariable-REMOTE_USER: bob\r\n${greeting}\r\n`);
      assert.deepEqual([appStatus, protocolStatus], [0, PROTOCOL_STATUS.REQUEST_COMPLETE]);
    }
  });

  it('refuses by everything else, with a status on STDOUT', async () => {
    for (const [what, status] of Object.entries(REFUSALS)) {
      assertRefused(await authorize(server(), what), status, what);
      // What a lost worker or a broken state leaves behind says yes again.
      assert.match((await authorize(server(), 'grant')).raw.toString('latin1'), /^Status: 200 OK\r\n/, what);
    }
  });

  it('may have an empty STDIN and a CONTENT_LENGTH, which are no matter of its own', async () => {
    const params = {
      ...scriptParams(server().path('private/page.lua')),
      QUERY_STRING: 'do=grant',
      CONTENT_LENGTH: '7',
    };
    for (const body of ['', 'surplus']) {
      const answer = await request({ socket: server().socket, role: ROLE.AUTHORIZER, params, body });
      assert.equal(answer.status, 200);
    }
  });

  it('shares a kept connection with Responders, in any order', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    const page = scriptParams(server().path('private/page.lua'));
    const asked = { ...page, QUERY_STRING: 'do=grant' };
    for (let round = 0; round < 20; round += 1) {
      const isAuthorizer = round % 3 === 1;
      const role = isAuthorizer ? ROLE.AUTHORIZER : ROLE.RESPONDER;
      const answer = await request({ connection, params: isAuthorizer ? asked : page, role, keepConn: true });
      assert.equal(answer.status, 200);
      assert.equal(answer.body.length > 0, !isAuthorizer);
    }
    connection.destroy();
  });

  it('decides about the page of the status, too, which does not answer in its place', async () => {
    const params = { ...scriptParams(server().path('a.txt')), SCRIPT_NAME: '/status', REQUEST_URI: '/status' };
    const asked = { ...params, QUERY_STRING: 'do=no' };
    const answer = await request({ socket: server().socket, role: ROLE.AUTHORIZER, params: asked });
    assert.equal(answer.status, 403);
    assert.equal((await request({ socket: server().socket, params })).status, 200);
  });

  it('that is aborted is not ended in silence', async () => {
    const connection = await FcgiConnection.connect(server().socket);
    const params = { ...scriptParams(server().path('private/page.lua')), QUERY_STRING: 'do=endless' };
    connection.begin(1, { role: ROLE.AUTHORIZER, keepConn: true });
    connection.params(1, params);
    connection.abort(1);
    assert.match((await connection.response(1)).stdout.toString(), /^Status: 503 /);
    connection.begin(2, { role: ROLE.AUTHORIZER, keepConn: true });
    connection.abort(2);
    assert.match((await connection.response(2)).stdout.toString(), /^Status: 503 /);
    connection.destroy();
  });
});

describe('a request for an Authorizer is refused with a status', () => {
  it('when the function fails and the script answers errors itself, whatever it returns', async (t) => {
    const server = await start(t, '', {
      'authorize.lua': `
        function authorize(env, con) con:variable("A", "b") error("trouble") end
        function on_error(env, con) con:status(200) con:puts("sorry") return true end`,
    });
    const answer = await authorize(server, 'grant');
    assertRefused(answer, 403, 'on_error');
    assert.match(answer.raw.toString(), /\r\n\r\nsorry$/);
  });

  it('when the script does not define the function, and its state serves on', async (t) => {
    const server = await start(t, 'authorizer = "mayenter"', {
      'authorize.lua': 'count = 0 function main(env, con) count = count + 1 con:puts(count) end',
    });
    assert.equal((await ask(server, 'authorize.lua')).text, '1');
    assertRefused(await authorize(server, 'grant'), 500, 'no function');
    assert.equal((await ask(server, 'authorize.lua')).text, '2');
    await server.logged(/LUAFCGID_SCRIPT_NO_HANDLER: \S+authorize\.lua defines no global function mayenter/);
  });

  it('when the script is gone, is no Lua, or may not be run', async (t) => {
    const server = await start(t, `root = { "/usr" } sweep = 50`);
    assertRefused(await authorize(server, 'grant'), 403, 'root');
    const other = await start(t, '', { 'authorize.lua': 'function authorize(' });
    assertRefused(await authorize(other, 'grant'), 500, 'syntax');
    writeFileSync(other.path('authorize.lua'), 'error("at load")');
    await eventually('the new script', async () => (await authorize(other, 'grant')).raw.includes('500'));
  });

  it('when no script is set and the web server names a file, or a script that decides nothing', async (t) => {
    const server = await startServer(t, { files: FILES });
    assertRefused(await authorize(server, 'grant'), 403, 'a file');
    assertRefused(await authorize(server, 'grant', 'private/missing.lua'), 404, 'no such script');
    assertRefused(await authorize(server, 'grant', 'private/page.lua'), 500, 'a page');
  });

  it('when too many wait, with overload = "protocol" too', async (t) => {
    const server = await start(t, 'states = 1 queue = 0 bodymemory = 0 overload = "protocol"', {
      ...FILES,
      'hold.lua': HOLD,
    });
    const holder = await FcgiConnection.connect(server.socket);
    holder.begin(1, { keepConn: true });
    holder.params(1, { ...scriptParams(server.path('hold.lua')), REQUEST_METHOD: 'POST', CONTENT_LENGTH: '3' });
    await holder.nextRecord();
    assertRefused(await authorize(server, 'grant'), 503, 'overload');
    holder.stdin(1, 'end');
    await holder.response(1);
    assert.equal((await authorize(server, 'grant')).status, 200);
    holder.destroy();
  });

  it('when the server is stopped while the function runs', async (t) => {
    const server = await start(t, 'watchdog = 0 draintimeout = 0.1');
    const connection = await FcgiConnection.connect(server.socket);
    connection.send(
      beginRequest(1, { role: ROLE.AUTHORIZER }),
      stream(TYPE.PARAMS, 1, pairs({ ...scriptParams(server.path('a.txt')), QUERY_STRING: 'do=endless' })),
    );
    await eventually('its run', () => server.log().includes('ready') && connection.receivedBytes === 0);
    const ended = connection.closed();
    await server.stop();
    await ended;
    const said = Buffer.concat(
      connection.records.filter(({ type }) => type === TYPE.STDOUT).map(({ content }) => content),
    );
    const hasEnd = connection.records.some(({ type }) => type === TYPE.END_REQUEST);
    // Without END_REQUEST web servers take it for a failure.
    if (hasEnd) assert.match(said.toString(), /^Status: 50\d /);
    assert.doesNotMatch(said.toString(), /Status: 2/);
  });
});
