/** What control groups leave of the machine: users.md "container image", issue 15 item 6. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { usableMachine } from '../../src/config/machine.js';
import { validate } from '../../src/config/validate.js';

const MIB = 2 ** 20;
const WHOLE = { cpus: 8, memoryBytes: 16 * 1024 * MIB };

/** The machine as a process in these files sees it. */
const seen = (files: Readonly<Record<string, string>>) => usableMachine(WHOLE, (file) => files[file]);

describe('the machine that a process may use', () => {
  it('is the whole one where nothing limits it', () => {
    assert.deepEqual(seen({}), WHOLE);
    const files = { 'cpu.max': 'max 100000\n', 'memory.max': 'max\n' };
    const named = Object.entries(files).map(([name, text]) => [`/sys/fs/cgroup/${name}`, text]);
    assert.deepEqual(seen({ '/proc/self/cgroup': '0::/\n', ...Object.fromEntries(named) }), WHOLE);
  });

  it('is what a container may use, by its own name space (version 2)', () => {
    const files = {
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/cpu.max': '150000 100000\n',
      '/sys/fs/cgroup/memory.max': '268435456\n',
    };
    assert.deepEqual(seen(files), { cpus: 2, memoryBytes: 256 * MIB });
    assert.equal(seen({ ...files, '/sys/fs/cgroup/cpu.max': '20000 100000\n' }).cpus, 1);
    assert.equal(seen({ ...files, '/sys/fs/cgroup/cpu.max': '3200000 100000\n' }).cpus, 8);
  });

  it('is the least that any group above it allows', () => {
    const files = {
      '/proc/self/cgroup': '0::/system.slice/luafcgid.service\n',
      '/sys/fs/cgroup/system.slice/cpu.max': '300000 100000\n',
      '/sys/fs/cgroup/system.slice/memory.max': '1073741824\n',
      '/sys/fs/cgroup/system.slice/luafcgid.service/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/system.slice/luafcgid.service/memory.max': '2147483648\n',
    };
    assert.deepEqual(seen(files), { cpus: 3, memoryBytes: 1024 * MIB });
  });

  it('is told by the top, where a container sees the path that its host has', () => {
    const files = {
      '/proc/self/cgroup': '0::/docker/0123456789ab\n',
      '/sys/fs/cgroup/cpu.max': '100000 100000\n',
      '/sys/fs/cgroup/memory.max': '536870912\n',
    };
    assert.deepEqual(seen(files), { cpus: 1, memoryBytes: 512 * MIB });
  });

  it('is told by version 1 as well', () => {
    const files = {
      '/proc/self/cgroup': '5:memory:/docker/0123\n2:cpu,cpuacct:/docker/0123\n1:name=systemd:/\n0::/\n',
      '/sys/fs/cgroup/cpu/docker/0123/cpu.cfs_quota_us': '250000\n',
      '/sys/fs/cgroup/cpu/docker/0123/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes': '134217728\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    };
    assert.deepEqual(seen(files), { cpus: 3, memoryBytes: 128 * MIB });
  });

  it('is found on this machine, and no more than it has', () => {
    const { cpus, memoryBytes } = usableMachine();
    assert.ok(cpus >= 1 && Number.isInteger(cpus));
    assert.ok(memoryBytes > 64 * MIB);
  });
});

describe('defaults', () => {
  const defaults = (memoryMib: number, cpus: number) =>
    validate([], { cpus, memoryBytes: memoryMib * MIB, hasPassedSockets: false }).config;

  it('fit into the memory of a small container, and are the usual ones in a large one', () => {
    const inMib = (memoryMib: number) => {
      const { memoryBytes, imagesBytes, bodyTotalBytes, sendTotalBytes } = defaults(memoryMib, 1);
      return [memoryBytes, imagesBytes, bodyTotalBytes, sendTotalBytes].map((bytes) => bytes / MIB);
    };
    assert.deepEqual(inMib(16 * 1024), [128, 64, 256, 256]);
    assert.deepEqual(inMib(2048), [128, 64, 256, 256]);
    assert.deepEqual(inMib(1000), [128, 62, 125, 125]);
    assert.deepEqual(inMib(256), [64, 16, 32, 32]);
    assert.deepEqual(inMib(8), [2, 2, 2, 2]);
  });

  it('have a worker for each processor that may be used', () => {
    assert.deepEqual([defaults(1024, 1).workers, defaults(1024, 3).workers], [2, 3]);
  });
});
