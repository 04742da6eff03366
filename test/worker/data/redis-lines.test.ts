/** Redis on connections that are lent to a worker, compared with the way by the I/O thread (decision 0029). */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { IoHandle } from '../../../src/io/handle.js';
import { Action } from '../../../src/io/protocol.js';
import { freeze, sourceSettings } from '../../io/support/data-source.js';
import { startRedis } from '../../support/redis.js';
import { DataWorker, field, type Given } from './support/data-worker.js';

const ON_LINUX = process.platform === 'linux';

describe('Redis on lent connections', { skip: !ON_LINUX && 'descriptors are lent on Linux only' }, async () => {
  const server = await startRedis({ after }, ['--requirepass', 'sesame']);
  const log: string[] = [];
  const io = new IoHandle({ log: (_, text) => log.push(text) });
  after(async () => void (await io.stop()));
  const settings = {
    kind: 'redis',
    port: server.port,
    database: '3',
    password: 'sesame',
    waitMs: 60_000,
    connectMs: 60_000,
    queryMs: 60_000,
    maxResultBytes: 100_000,
  } as const;
  const [grant, single] = io.addSources([
    sourceSettings({ ...settings, name: 'cache', connections: 3 }),
    sourceSettings({ ...settings, name: 'single', connections: 1 }),
  ]);
  const cache = grant?.id ?? 0;
  const worker = new DataWorker(
    { after },
    io,
    [grant, single].filter((one) => one !== undefined),
  );
  const status = async (name = 'cache') => (await io.status()).find((source) => source.name === name);

  it('gives the same values and errors as the I/O thread', async () => {
    const bytes = new Uint8Array([0, 255, 13, 10]);
    const script =
      "redis.setresp(3) return {1, 'two', false, true, {double=1.5}, {map={a=1}}, {set={x=true}}, {ok='fine'}, {err='ERR bad'}, {}}";
    const commands: [Action, readonly Given[]][] = [
      [Action.COMMAND, [['set', 'k', bytes]]],
      [Action.COMMAND, [['get', 'k']]],
      [Action.COMMAND, [['get', 'nowhere']]],
      [Action.COMMAND, [['set', 'n', '9007199254740993']]],
      [Action.COMMAND, [['incrby', 'n', '0']]],
      [Action.COMMAND, [['hset', 'h', 'a', '1', bytes, 'é']]],
      [Action.COMMAND, [['hgetall', 'h']]],
      [Action.COMMAND, [['zadd', 'z', '1.5', 'm']]],
      [Action.COMMAND, [['zscore', 'z', 'm']]],
      [Action.COMMAND, [['mget', 'nowhere', 'n', 'k']]],
      [Action.COMMAND, [['eval', script, '0']]],
      [Action.COMMAND, [['incr', 'k']]],
      [Action.COMMAND, [['lpush', 'k', 'x']]],
      [Action.COMMAND, [['nocommand']]],
      [Action.COMMAND, [['info', 'nothing']]],
      [
        Action.PIPELINE,
        [
          [
            ['set', 'a', '1'],
            ['lpush', 'a', '1'],
            ['get', 'a'],
          ],
        ],
      ],
      [
        Action.MULTI,
        [
          [
            ['set', 'm', '1'],
            ['incr', 'm'],
            ['lpush', 'm', 'x'],
          ],
        ],
      ],
      [
        Action.MULTI,
        [
          [
            ['set', 'm', '1'],
            ['nocommand', 'é'],
          ],
        ],
      ],
      [Action.COMMAND, [['set', 'large', 'x'.repeat(200_000)]]],
      [Action.COMMAND, [['get', 'large']]],
      [Action.COMMAND, [['mget', 'large', 'k']]],
      [
        Action.PIPELINE,
        [
          [
            ['get', 'large'],
            ['get', 'a'],
          ],
        ],
      ],
      [Action.COMMAND, [['get', 'a']]],
    ];
    const direct = [];
    const posted = [];
    for (const [action, given] of commands) direct.push(await worker.direct(cache, action, given));
    await worker.posted(cache, Action.COMMAND, [['flushdb']]);
    for (const [action, given] of commands) posted.push(await worker.posted(cache, action, given));
    for (const [at, [, given]] of commands.entries()) {
      assert.deepEqual(direct[at], posted[at], JSON.stringify(given).slice(0, 200));
    }
    assert.equal(
      field((await worker.direct(cache, Action.COMMAND, [['get', 'large']])).value, 'code'),
      'LUAFCGID_DATA_RESULT_SIZE',
    );
  });

  it('leaves to the I/O thread what is refused, and what is no command', () => {
    for (const words of [
      ['select', '1'],
      ['Blpop', 'l', '0'],
      ['xread', 'block', '0', 'streams', 's', '$'],
      ['client', 'id'],
      [],
    ]) {
      assert.equal(worker.begin(cache, Action.COMMAND, [words]), undefined, words.join(' '));
    }
  });

  it('answers many in their order on one connection, and drops the answer of a request that is over', async () => {
    await worker.direct(cache, Action.COMMAND, [['set', 'x', '0']]);
    const tokens = Array.from({ length: 50 }, () => worker.begin(cache, Action.COMMAND, [['incr', 'x']], 7) as number);
    worker.abandon(tokens[10] as number);
    const last = await worker.result(tokens[49] as number);
    assert.deepEqual(last.value, 50);
    assert.equal(worker.hasResult(tokens[10] as number), false);
    assert.deepEqual((await worker.result(tokens[11] as number)).value, 12);
    const { busy, open, connections } = (await status()) ?? {};
    assert.equal(busy, 0, 'nothing is under way on what is lent');
    assert.ok((open ?? 0) <= (connections ?? 0));
  });

  it('gives up a command that takes too long, and what was sent behind it is lost', async () => {
    await worker.direct(cache, Action.COMMAND, [['ping']]);
    await freeze(server);
    const late = worker.begin(cache, Action.COMMAND, [['ping']], 1, 200) as number;
    const behind = worker.begin(cache, Action.COMMAND, [['ping']]) as number;
    assert.equal(field((await worker.result(late)).value, 'code'), 'LUAFCGID_DATA_TIMEOUT');
    assert.equal(field((await worker.result(behind)).value, 'code'), 'LUAFCGID_DATA_LOST');
    server.signal('SIGCONT');
    assert.equal((await worker.direct(cache, Action.COMMAND, [['ping']])).value, 'PONG');
  });

  it('does not lend the only connection, which the I/O thread needs for what comes to it', async () => {
    const only = single?.id ?? 0;
    for (let at = 0; at < 3; at += 1) {
      assert.equal(worker.begin(only, Action.COMMAND, [['ping']]), undefined);
      assert.equal((await worker.posted(only, Action.COMMAND, [['ping']])).value, 'PONG');
    }
    assert.equal((await status('single'))?.open, 1);
  });

  it('fails what is under way when the I/O thread dies, closes its connections, and borrows of the next one', async () => {
    await worker.direct(cache, Action.COMMAND, [['ping']]);
    await freeze(server);
    const token = worker.begin(cache, Action.COMMAND, [['ping']]) as number;
    worker.turn();
    await io.restart('the test ends it');
    assert.equal(field((await worker.result(token)).value, 'code'), 'LUAFCGID_IO_LOST');
    server.signal('SIGCONT');
    assert.equal((await worker.direct(cache, Action.COMMAND, [['ping']])).value, 'PONG');
  });

  it('says that the server is gone, and goes on when it is back', async () => {
    await worker.direct(cache, Action.COMMAND, [['ping']]);
    await freeze(server);
    const token = worker.begin(cache, Action.COMMAND, [['ping']]) as number;
    worker.turn();
    // It gets no moment to answer in.
    server.signal('SIGKILL');
    await server.kill();
    const { isError, value } = await worker.result(token);
    assert.deepEqual([isError, field(value, 'code'), field(value, 'retry')], [true, 'LUAFCGID_DATA_LOST', true]);
    await server.start();
    assert.equal((await worker.direct(cache, Action.COMMAND, [['ping']])).value, 'PONG');
  });

  it('takes back what a worker had when that is gone', async () => {
    const other = new DataWorker(
      { after },
      io,
      [grant].filter((one) => one !== undefined),
    );
    await other.direct(cache, Action.COMMAND, [['ping']]);
    assert.equal(other.lent, 1);
    other.end();
    await worker.until(async () => (await status())?.busy === 0, 'nothing is in use');
    await worker.until(() => other.lent === 0, 'it has come back');
  });
});
