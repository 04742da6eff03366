/** The logs of the real process on full disks, and with readers that do not read: no request waits for them. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Cleanup, tempDir } from '../support/cleanup.js';
import { FcgiConnection } from '../support/fcgi-client.js';
import { IO, ROOT, type Server, startServer } from '../support/server.js';
import { ask, eventually } from '../support/shared.js';

const FILES = {
  'hello.lua': 'function main(env, con) con:puts("hello") end',
  'tell.lua': 'function main(env, con) con:log("info", "told " .. env.QUERY_STRING) con:puts("ok") end',
  'long.lua':
    'function main(env, con) for i = 1, 50 do con:log("warn", "long " .. i .. ("x"):rep(20000)) end con:puts("ok") end',
};

describe('a disk that is full', () => {
  /** A disk of its own; undefined when this user may not mount one. */
  function smallDisk(t: Cleanup): string | undefined {
    let mounted: string | undefined;
    // Before its folder is removed.
    t.after(() => {
      if (mounted !== undefined) execFileSync('umount', ['-l', mounted]);
    });
    const disk = tempDir(t);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk], { stdio: 'ignore' });
    } catch {
      return undefined;
    }
    mounted = disk;
    return disk;
  }

  const fill = async (server: Server, log: () => string, makeRoom: () => void): Promise<void> => {
    for (let n = 0; n < 300; n += 1) {
      assert.equal(
        (await ask(server, 'tell.lua', { params: { QUERY_STRING: `${n} ${'x'.repeat(2000)}` } })).text,
        'ok',
      );
    }
    makeRoom();
    await ask(server, 'tell.lua', { params: { QUERY_STRING: 'again' } });
    await eventually('the count', () => /LUAFCGID_LOG_LOST: \d+ lines could not be written to .*a\.log/.test(log()));
    await eventually('the line after it', () => log().includes('told again'));
    // Only now: the last lines may have come when there was room already.
    const told = log()
      .split('\n')
      .filter((line) => / told \d+ x{2000}$/.test(line)).length;
    assert.ok(told < 300, 'the disk was not full');
    const counts = log().matchAll(/LUAFCGID_LOG_LOST: (\d+) lines could not be written to .*a\.log/g);
    const lost = [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
    // The log also tells, once, that the access log cannot be written: one more line that was lost.
    assert.ok(lost - (300 - told) >= 0 && lost - (300 - told) <= 2, `${lost} are told, ${300 - told} are missing`);
    await eventually('that of the access log', () =>
      /LUAFCGID_LOG_LOST: \d+ lines could not be written to .*access\.log/.test(log()),
    );
  };

  it('stops no request; the lines are counted, and told when there is room', async (t) => {
    const disk = smallDisk(t);
    if (disk === undefined) {
      // Without the right to mount, the disk that is full is one that never has room.
      const config = 'logfile = "/dev/full" accesslog = "/dev/full"';
      const server = await startServer(t, { files: FILES, config });
      for (let n = 0; n < 50; n += 1) assert.equal((await ask(server, 'tell.lua')).text, 'ok');
      return;
    }
    const server = await startServer(t, {
      files: FILES,
      config: `logfile = "${disk}/a.log" accesslog = "${disk}/access.log" accessformat = "{query} {status}"`,
    });
    await fill(
      server,
      () => readFileSync(join(disk, 'a.log'), 'utf8'),
      () => {
        execFileSync('mount', ['-o', 'remount,size=4m', disk]);
      },
    );
    await server.stop();
  });
});

/** Whether somebody listens there: the file of a socket is there a moment before. */
function accepts(socket: string): Promise<boolean> {
  return FcgiConnection.connect(socket).then(
    (connection) => {
      connection.destroy();
      return true;
    },
    () => false,
  );
}

describe('a reader that does not read', () => {
  /** Reads what is there, without waiting. */
  function drain(fd: number): string {
    const bytes = Buffer.alloc(1 << 16);
    let text = '';
    for (;;) {
      try {
        const count = readSync(fd, bytes);
        if (count === 0) return text;
        text += bytes.toString('utf8', 0, count);
      } catch {
        return text;
      }
    }
  }

  /** Logs more than waits for a reader, and goes on serving, also scripts that have to be found and loaded first. */
  async function overfill(server: Pick<Server, 'socket' | 'path'>): Promise<void> {
    for (let n = 0; n < 6; n += 1) {
      assert.equal((await ask(server as Server, 'long.lua')).text, 'ok');
      assert.equal((await ask(server as Server, 'tell.lua')).text, 'ok');
    }
    assert.equal((await ask(server as Server, 'hello.lua')).text, 'hello');
  }

  /** Waits until each line has come, or was counted as lost: the counts may come in several lines. */
  async function checkAccount(read: () => string): Promise<void> {
    await eventually('all lines or their count', () => {
      const text = read();
      const told = text.split('\n').filter((line) => / long \d+x{20000}$| told$/.test(line)).length;
      const lost = [...text.matchAll(/LUAFCGID_LOG_LOST: (\d+) lines/g)].reduce(
        (sum, [, count]) => sum + Number(count),
        0,
      );
      assert.ok(told + lost <= 6 * 51, `${told} told, ${lost} lost`);
      return lost > 0 && told > 0 && told + lost === 6 * 51;
    });
  }

  it('of a pipe holds nobody up', async (t) => {
    const pipe = join(tempDir(t), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    t.after(() => closeSync(fd));
    const server = await startServer(t, {
      files: FILES,
      ready: /ready/,
      under: ['sh', '-c', 'echo ready; exec "$@" 2>"$0"', pipe],
    });
    await eventually('the socket', () => accepts(server.socket));
    await overfill(server);
    let text = '';
    await checkAccount(() => {
      text += drain(fd);
      return text;
    });
  });

  it('of a socket holds nobody up', async (t) => {
    const { child, server } = await startUnread(t);
    await overfill(server);
    let text = '';
    child.stderr.on('data', (bytes) => {
      text += bytes;
    });
    await checkAccount(() => text);
  });

  /** A server whose standard error is a socket, of which nothing is read until the test does. */
  async function startUnread(t: Cleanup) {
    const dir = tempDir(t);
    const [socket, config] = [join(dir, 's.sock'), join(dir, 'c.lua')];
    for (const [name, text] of Object.entries(FILES)) writeFileSync(join(dir, name), text);
    writeFileSync(config, `listen = "${socket}" io = "${IO}"`);
    const child = spawn(process.execPath, [join(ROOT, 'bin/luafcgid'), config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    t.after(async () => {
      const ended = new Promise((resolve) => child.on('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    });
    await eventually('the socket', () => accepts(socket));
    return { child, server: { socket, path: (name: string) => join(dir, name) } };
  }
});
