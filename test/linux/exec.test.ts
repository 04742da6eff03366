/** Another program in the place of this one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';

const MODULES = ['../../src/linux/exec.js', '../../src/linux/libc.js'].map((name) =>
  JSON.stringify(new URL(name, import.meta.url).href),
);

/** Uses more processor time than the timer waits for, and says that it lives. */
const NEXT =
  'for (const end = process.cpuUsage().user + 200000; process.cpuUsage().user < end; ); console.log("lives")';

describe('the program in the place of another one', () => {
  it('is not ended by a timer that a profiler of LuaJIT has left running (attacks F12)', {
    skip: process.platform !== 'linux',
  }, () => {
    const program = `
      const { replaceProgram } = await import(${MODULES[0]});
      const { libc } = await import(${MODULES[1]});
      const times = Buffer.alloc(32);
      for (const at of [8, 24]) times.writeBigInt64LE(50000n, at);
      libc.func('int signal(int, void*)')(27, 1);
      libc.func('int setitimer(int, const void*, void*)')(2, times, null);
      libc.func('int signal(int, void*)')(27, 0);
      replaceProgram(process.execPath, ['-e', ${JSON.stringify(NEXT)}], process.env, []);`;
    const { signal, status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    assert.deepEqual([signal, status, stdout], [null, 0, 'lives\n'], stderr);
  });

  it('is come to with signals that stop the process, or that it does not need', {
    skip: process.platform !== 'linux',
  }, () => {
    const program = `
      const { leaveSignals } = await import(${MODULES[0]});
      const heard = [];
      for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT']) process.on(signal, () => heard.push(signal));
      process.kill(process.pid, 'SIGTERM');
      await leaveSignals();
      console.log(heard.join());
      process.kill(process.pid, 'SIGHUP');
      console.log('goes on');
      process.kill(process.pid, 'SIGTERM');`;
    const { signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    assert.deepEqual([signal, stdout], ['SIGTERM', 'SIGTERM\ngoes on\n'], stderr);
  });
});
