/** Processes that a benchmark starts, and what the kernel tells of any process: CPU time and memory. */
import { spawn } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { delimiter, join } from 'node:path';

/** Length of a clock tick of /proc (`getconf CLK_TCK`): the same on all Linux systems that Node.js runs on. */
const TICK_MICROS = 10_000;
const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 12_000;
const POLL_MS = 5;
const MOST_OUTPUT = 10_000;

/** The fields of /proc/PID/stat after the name, which may contain anything. @param {number} pid */
function statFields(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** A process and all below it. @param {number} root */
function familyOf(root) {
  const family = [root];
  for (const pid of family) {
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
      family.push(...children.split(' ').filter(Boolean).map(Number));
    } catch {
      // It ended, or the kernel keeps no such list.
    }
  }
  return family;
}

/** User and system time of a process, its threads and its children, in microseconds. @param {number} root */
export function cpuMicrosOf(root) {
  let ticks = 0;
  for (const pid of familyOf(root)) {
    const fields = statFields(pid);
    if (fields !== undefined) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MICROS;
}

/** CPU time of the calling thread, and the time that it was ready to run and had no processor, in microseconds. */
export function threadTimes() {
  const [cpuNanos, waitNanos] = readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ').map(Number);
  return { cpuMicros: cpuNanos / 1000, waitMicros: waitNanos / 1000 };
}

/**
 * Resident memory of a process in bytes: now, and its highest since it began or since `resetPeakMemory`.
 * @param {number} pid
 */
export function memoryOf(pid) {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytes = (/** @type {string} */ name) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
  return { residentBytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') };
}

/** @param {number} pid */
export function resetPeakMemory(pid) {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Path of a program, or undefined. @param {RegExp} name of the file; of several the last in alphabetical order */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const folder of folders.filter(Boolean)) {
    try {
      const found = readdirSync(folder)
        .filter((file) => name.test(file))
        .sort()
        .at(-1);
      if (found === undefined) continue;
      accessSync(join(folder, found), constants.X_OK);
      return join(folder, found);
    } catch {
      // Not a folder of programs after all.
    }
  }
  return undefined;
}

/**
 * A process that runs until it is stopped.
 * @typedef {object} Running
 * @property {number} pid
 * @property {() => Promise<void>} stop
 */

/** @type {Set<import('node:child_process').ChildProcess>} */
const alive = new Set();
// Whatever ends this process, nothing that it started stays behind.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/**
 * Starts a program and waits until it accepts connections.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {string} address where it will listen: a socket path or `host:port`
 * @param {NodeJS.Signals} [stopSignal]
 * @returns {Promise<Running>}
 */
export async function startProgram(program, args, address, stopSignal = 'SIGTERM') {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  alive.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => {
      output = (output + bytes.toString('latin1')).slice(-MOST_OUTPUT);
    });
  }
  /** @type {Promise<void>} */
  const ended = new Promise((resolve) => {
    child.once('error', (error) => {
      output += error.message;
      resolve();
    });
    child.once('exit', () => resolve());
  });
  let hasEnded = false;
  ended.then(() => {
    hasEnded = true;
    alive.delete(child);
  });
  const giveUpMs = performance.now() + START_LIMIT_MS;
  while (!(await accepts(address))) {
    if (hasEnded || performance.now() > giveUpMs) {
      child.kill('SIGKILL');
      throw new Error(`${program} does not listen on ${address}:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return {
    pid: /** @type {number} */ (child.pid),
    stop: async () => {
      child.kill(stopSignal);
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Where `net.connect` finds an address. @param {string} address */
export function connectOptions(address) {
  const tcp = /^([0-9.]*):([0-9]+)$/.exec(address);
  return tcp === null ? { path: address } : { host: tcp[1] || '127.0.0.1', port: Number(tcp[2]) };
}

/** @param {string} address @returns {Promise<boolean>} */
function accepts(address) {
  return new Promise((resolve) => {
    const socket = net.connect(connectOptions(address));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
