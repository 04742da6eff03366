/** Who the real process is: the user it becomes, who its sockets belong to, and what is said of it. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tempDir } from '../support/cleanup.js';
import { runCommand, type ServerOptions, startServer } from '../support/server.js';
import { ask } from '../support/shared.js';

const HELLO = { 'hello.lua': 'function main(env, con) con:puts("hello") end' };
const NOBODY = accountOf('nobody');
const isRoot = process.geteuid?.() === 0;

/** User and group of an account, as the system's own file has them. */
function accountOf(name: string): { name: string; uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  assert.ok(line, `there is no user ${name}`);
  const [, , uid, gid] = line.split(':');
  return { name, uid: Number(uid), gid: Number(gid) };
}

/** The lines of all threads of a process that begin with `field`, each once. */
function ofAllThreads(pid: number, field: string): string[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  assert.ok(tasks.length > 3, 'hardly a thread was looked at');
  const lines = tasks.flatMap((task) => {
    try {
      const text = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
      return [text.split('\n').find((line) => line.startsWith(`${field}:`))];
    } catch {
      return []; // it has ended meanwhile
    }
  });
  return [...new Set(lines)].map((line) => (line ?? '').slice(field.length + 1).trim());
}

/** A server whose folder all users may enter. */
async function openServer(t: Parameters<typeof startServer>[0], options: ServerOptions) {
  const server = await startServer(t, options);
  chmodSync(server.dir, 0o755);
  return server;
}

if (isRoot) {
  describe('a server that root starts with user = "nobody"', () => {
    it('becomes nobody with all threads, groups and capabilities', async (t) => {
      const server = await openServer(t, { files: HELLO, config: 'user = "nobody"' });
      const { uid, gid } = NOBODY;
      assert.deepEqual(ofAllThreads(server.pid, 'Uid'), [`${uid}\t${uid}\t${uid}\t${uid}`]);
      assert.deepEqual(ofAllThreads(server.pid, 'Gid'), [`${gid}\t${gid}\t${gid}\t${gid}`]);
      assert.deepEqual(ofAllThreads(server.pid, 'Groups'), [String(gid)]);
      for (const set of ['CapPrm', 'CapEff', 'CapAmb']) {
        assert.deepEqual(ofAllThreads(server.pid, set), ['0000000000000000'], set);
      }
      assert.equal((await ask(server, 'hello.lua')).text, 'hello');
      assert.doesNotMatch(server.log(), /LUAFCGID_USER_ROOT/);
    });

    it('may not read what only root may, whether its front, its workers or its scripts try', async (t) => {
      const server = await openServer(t, {
        config: 'user = "nobody"\nengine = "lua5.1"',
        files: {
          'secret.lua': 'function main(env, con) con:puts("secret") end',
          'reader.lua': `function main(env, con)
            local file, message = io.open("${'/etc/shadow'}")
            con:puts(file and "read" or message, "\\n", io.popen("id -u"):read("*l"))
          end`,
        },
      });
      chmodSync(server.path('secret.lua'), 0o600);
      const refused = await ask(server, 'secret.lua');
      assert.equal(refused.status, 403);
      await server.logged(/LUAFCGID_SCRIPT_UNREADABLE/);
      assert.equal((await ask(server, 'reader.lua')).text, `/etc/shadow: Permission denied\n${NOBODY.uid}`);
    });

    it('gives it the log file, and tells of a socket that it may not remove', async (t) => {
      const server = await openServer(t, {
        files: HELLO,
        config: ({ dir }) => `user = "nobody"\nlogfile = ${JSON.stringify(join(dir, 'log'))}`,
      });
      const log = join(server.dir, 'log');
      assert.deepEqual([statSync(log).uid, statSync(log).gid], [NOBODY.uid, NOBODY.gid]);
      await server.stop();
      assert.match(readFileSync(log, 'utf8'), /the socket \S+fcgi\.sock stays.*the next start replaces it/);
      assert.ok(lstatSync(server.socket).isSocket());
    });

    it('does not start where a link of that user leads the log, the pid file or the socket elsewhere (attacks F8)', async (t) => {
      const dir = tempDir(t);
      chmodSync(dir, 0o755);
      mkdirSync(join(dir, 'private'), { mode: 0o700 });
      writeFileSync(join(dir, 'private/keys'), 'keys\n', { mode: 0o600 });
      mkdirSync(join(dir, 'logs'));
      chownSync(join(dir, 'logs'), NOBODY.uid, NOBODY.gid);
      symlinkSync(join(dir, 'private/keys'), join(dir, 'logs/link'));
      symlinkSync(join(dir, 'private'), join(dir, 'logs/folder'));
      for (const [setting, code] of [
        ['logfile = "logs/link"', 'LUAFCGID_LOG_UNTRUSTED'],
        ['accesslog = "logs/link"', 'LUAFCGID_LOG_UNTRUSTED'],
        ['slowlog = "logs/folder/slow"', 'LUAFCGID_LOG_UNTRUSTED'],
        ['pidfile = "logs/folder/pid"', 'LUAFCGID_SERVICE_PIDFILE'],
        ['listen = "logs/folder/sock"', 'LUAFCGID_LISTEN_FAILED'],
      ] as const) {
        const config = join(dir, 'config.lua');
        const listen = setting.startsWith('listen') ? '' : 'listen = "sock"';
        writeFileSync(config, `user = "nobody"\nworkers = 1\n${listen}\n${setting}\n`);
        const { code: status, stderr } = await runCommand([config]);
        assert.equal(status, 1, setting);
        assert.match(stderr, new RegExp(`leads over a link[^]*\\[${code}\\]`), setting);
        assert.doesNotMatch(stderr, /\n {4}at /, 'a stack says nothing to an operator');
      }
      assert.equal(readFileSync(join(dir, 'private/keys'), 'utf8'), 'keys\n');
      assert.deepEqual(readdirSync(join(dir, 'private')), ['keys']);
    });

    it('reloads, though that user may create nothing where the socket and the pid file are (users B1)', async (t) => {
      const server = await openServer(t, {
        files: HELLO,
        config: ({ dir }) => `user = "nobody"\npidfile = ${JSON.stringify(join(dir, 'pid'))}\naccesslog = "access"`,
      });
      chmodSync(server.config, 0o644);
      server.signal('SIGHUP');
      await server.logged(/reloaded: listening on \S+fcgi\.sock\n/);
      assert.equal((await ask(server, 'hello.lua')).text, 'hello');
      // Another socket would have to be created, the one that is left would have to be removed.
      const former = readFileSync(server.config, 'utf8');
      writeFileSync(server.config, `${former}\nlisten = { listen, "second.sock" }`);
      server.signal('SIGHUP');
      await server.logged(/LUAFCGID_RELOAD_REFUSED[\s\S]*second\.sock": nothing may be created in /);
      writeFileSync(server.config, `${former}\nlisten = "127.0.0.1:0"`);
      server.signal('SIGHUP');
      await server.logged(/reloaded: listening on 127\.0\.0\.1/);
      assert.doesNotMatch(server.log(), /LUAFCGID_BUG/);
    });

    it('removes its socket where that user may', async (t) => {
      const server = await openServer(t, { files: HELLO, config: 'user = "nobody"' });
      chownSync(server.dir, NOBODY.uid, NOBODY.gid);
      await server.stop();
      assert.equal(lstatSync(server.socket, { throwIfNoEntry: false }), undefined);
      assert.doesNotMatch(server.log(), /stays/);
    });

    it('spools as that user', async (t) => {
      const server = await openServer(t, {
        config: 'user = "nobody"\nworkers = 1\nsendbuffer = 1024',
        files: { ...HELLO, 'long.lua': 'function main(env, con) con:puts(("x"):rep(8e6)) end' },
      });
      const long = ask(server, 'long.lua');
      assert.equal((await ask(server, 'hello.lua')).text, 'hello');
      assert.equal((await long).text.length, 8e6);
      assert.doesNotMatch(server.log(), / error /);
    });
  });

  it('group takes the place of the own group of the user', async (t) => {
    const server = await openServer(t, { files: HELLO, config: `user = "${NOBODY.uid}"\ngroup = "daemon"` });
    const { gid } = accountOf('daemon');
    assert.deepEqual(ofAllThreads(server.pid, 'Uid'), [Array(4).fill(NOBODY.uid).join('\t')]);
    assert.deepEqual(ofAllThreads(server.pid, 'Gid'), [Array(4).fill(gid).join('\t')]);
    assert.equal((await ask(server, 'hello.lua')).text, 'hello');
  });

  it('socketowner, socketgroup and socketmode say who may connect', async (t) => {
    const server = await openServer(t, {
      files: HELLO,
      config: `socketowner = "nobody" socketgroup = "daemon" socketmode = "0660"`,
    });
    const stats = lstatSync(server.socket);
    assert.deepEqual([stats.uid, stats.gid, stats.mode & 0o777], [NOBODY.uid, accountOf('daemon').gid, 0o660]);
    assert.equal((await ask(server, 'hello.lua')).text, 'hello');
  });

  it('scripts that run as root are warned of at each start', async (t) => {
    const server = await startServer(t, { files: HELLO });
    assert.match(server.log(), /warn {2}LUAFCGID_USER_ROOT: scripts run as root/);
    assert.equal((await ask(server, 'hello.lua')).text, 'hello');
  });
} else {
  it('only root may become another user or give sockets away: the start fails and says so', async (t) => {
    const config = join(tempDir(t), 'config.lua');
    writeFileSync(config, 'user = "root" listen = "./s"');
    const user = await runCommand([config]);
    assert.equal(user.code, 1);
    assert.match(user.stderr, /cannot become user root: the server was started as user \d+\n.*LUAFCGID_USER_CHANGE/);
    writeFileSync(config, 'socketowner = "root" listen = "./s"');
    const owner = await runCommand([config]);
    assert.equal(owner.code, 1);
    assert.match(owner.stderr, /LUAFCGID_LISTEN_OWNER/);
    assert.equal(lstatSync(join(config, '../s'), { throwIfNoEntry: false }), undefined);
  });
}

it('check names users and groups that do not exist, all at once', async (t) => {
  const dir = tempDir(t);
  const config = join(dir, 'config.lua');
  mkdirSync(join(dir, 'x'));
  writeFileSync(config, 'user = "no-such" group = "no-such" socketowner = "no-such" socketgroup = "no-such"');
  const { code, stderr } = await runCommand(['check', config]);
  assert.equal(code, 1);
  for (const [option, kind] of [
    ['user', 'user'],
    ['group', 'group'],
    ['socketowner', 'user'],
    ['socketgroup', 'group'],
  ]) {
    assert.match(stderr, new RegExp(`${option} = "no-such": there is no such ${kind}`));
  }
  writeFileSync(config, 'user = 54321');
  assert.match((await runCommand(['check', config])).stderr, /user = "54321": no account has this number[\s\S]*group/);
  writeFileSync(config, 'user = 54321 group = 54321 socketgroup = "daemon"');
  assert.equal((await runCommand(['check', config])).code, 0);
});
