/** Redis as a data source, with a real server (issue 13; data-access 1.4 and 2.5). */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Action } from '../../../src/io/protocol.js';
import { refusalOf } from '../../../src/io/redis/commands.js';
import { RedisSource } from '../../../src/io/redis/redis-source.js';
import type { ResolvedSource } from '../../../src/io/sources.js';
import { startRedis } from '../../support/redis.js';
import {
  ask,
  closeWithRuns,
  code,
  encode,
  type Plain,
  sourceSettings,
  TestRun,
  until,
} from '../support/data-source.js';

describe('Redis', async () => {
  const server = await startRedis({ after }, ['--requirepass', 'sesame', '--enable-debug-command', 'yes']);
  const log: string[] = [];

  function open(given: Partial<ResolvedSource> = {}): RedisSource {
    const own = {
      kind: 'redis',
      port: server.port,
      database: '3',
      password: 'sesame',
      connections: 1,
      queue: 1000,
    } as const;
    const source = new RedisSource(sourceSettings({ ...own, ...given }), (_, text) => log.push(text));
    after(() => closeWithRuns(source));
    return source;
  }

  const source = open();
  const { run } = new TestRun(source);
  const command = (...words: readonly Plain[]): Promise<unknown> => ask(source, run, Action.COMMAND, encode(words));
  const pipeline = (...commands: readonly Plain[]): Promise<unknown> =>
    ask(source, run, Action.PIPELINE, encode(commands));
  const multi = (...commands: readonly Plain[]): Promise<unknown> => ask(source, run, Action.MULTI, encode(commands));

  it('gives replies as what they are: bytes, whole numbers with all digits, maps, and nothing for nil', async () => {
    const bytes = new Uint8Array([0, 255, 13, 10]);
    assert.equal(await command('set', 'k', bytes), 'OK');
    assert.deepEqual(await command('get', 'k'), Buffer.from(bytes));
    assert.equal(await command('get', 'nowhere'), undefined);
    assert.equal(await command('incrby', 'n', 9007199254740993n), 9007199254740993n);
    assert.equal(await command('exists', 'nowhere'), 0);
    await command('hset', 'h', 'a', 1, bytes, 'é');
    assert.deepEqual(await command('hgetall', 'h'), ['a', '1', Buffer.from(bytes), 'é']);
    await command('zadd', 'z', 1.5, 'm');
    assert.equal(await command('zscore', 'z', 'm'), 1.5);
    assert.deepEqual(await command('mget', 'nowhere', 'n'), [undefined, '9007199254740993']);
    assert.deepEqual(await command('eval', "return {1, 'two', false, {ok='fine'}}", 0), [1, 'two', undefined, 'fine']);
  });

  it('raises what the server says, with its word for it', async () => {
    await command('set', 'text', 'x');
    await assert.rejects(command('incr', 'text'), code('LUAFCGID_DATA_QUERY', 'ERR'));
    await assert.rejects(command('lpush', 'text', 'x'), code('LUAFCGID_DATA_QUERY', 'WRONGTYPE'));
  });

  it('sends many commands at once, and gives the error of one as its reply', async () => {
    const replies = (await pipeline(['set', 'a', 1], ['incr', 'a'], ['lpush', 'a', 1], ['get', 'a'])) as unknown[];
    assert.deepEqual([replies[0], replies[1], replies[3]], ['OK', 2, '2']);
    assert.match((replies[2] as { error: string }).error, /^WRONGTYPE/);
  });

  it('runs commands together, and none of them when one is wrong', async () => {
    assert.deepEqual(await multi(['set', 'm', 1], ['incr', 'm']), ['OK', 2]);
    await assert.rejects(multi(['set', 'm', 5], ['nocommand']), code('LUAFCGID_DATA_QUERY', 'ERR'));
    assert.equal(await command('get', 'm'), '2');
  });

  it('refuses what would change or hold the connection, with a reason', async () => {
    for (const words of [
      ['select', '1'],
      ['auth', 'x'],
      ['subscribe', 'c'],
      ['watch', 'k'],
      ['multi'],
      ['monitor'],
      ['blpop', 'l', '0'],
      ['client', 'kill', 'x'],
      ['xread', 'count', '1', 'block', '0', 'streams', 's', '$'],
    ]) {
      await assert.rejects(command(...words), code('LUAFCGID_DATA_COMMAND'), words.join(' '));
    }
    assert.equal(refusalOf(['XREAD', 'STREAMS', 'block', '0']), undefined);
    assert.equal(refusalOf(['client', 'id']), undefined);
    assert.equal(await command('ping'), 'PONG');
  });

  it('uses one connection for many runs, and no more than it may', async () => {
    const runs = Array.from({ length: 300 }, () => new TestRun(source));
    const replies = await Promise.all(
      runs.map((each, at) => ask(source, each.run, Action.COMMAND, encode(['echo', at]))),
    );
    assert.deepEqual(
      replies,
      runs.map((_, at) => String(at)),
    );
    assert.equal(source.status().open, 1);
  });

  it('gives up a command that takes too long, with its connection, and goes on with another', async () => {
    const one = open();
    const own = new TestRun(one);
    await ask(one, own.run, Action.COMMAND, encode(['ping']));
    const slow = encode(['eval', 'local t = redis.call("time"); repeat until redis.call("time")[1] - t[1] >= 2', 0]);
    await assert.rejects(ask(one, own.run, Action.COMMAND, slow, { limitMs: 300 }), code('LUAFCGID_DATA_TIMEOUT'));
    await until(
      () =>
        ask(one, own.run, Action.COMMAND, encode(['ping'])).then(
          () => true,
          () => false,
        ),
      'it answers again',
    );
  });

  it('says what is at the other end, and what is wrong with a password', async () => {
    assert.match(await source.probe(), /^\d+\.\d+/);
    await assert.rejects(open({ password: 'wrong' }).probe(), (error: Error) => {
      assert.match(error.message, /WRONGPASS/);
      assert.doesNotMatch(error.message, /wrong'|sesame/);
      return true;
    });
  });
});
