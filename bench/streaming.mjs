/** A large answer and a large body pass through: how fast, and how much memory the server takes meanwhile. */
import { fileURLToPath } from 'node:url';
import { ask } from './load/fastcgi-client.mjs';
import { pageFile } from './pages/pages.mjs';
import { startLuafcgid } from './peers/luafcgid.mjs';
import { cpuMicrosOf, memoryOf, resetPeakMemory } from './peers/processes.mjs';
import { fixed, say, sayTable } from './report.mjs';

const MIB = 2 ** 20;
const SETTLE_MS = 1000;

const pageOf = (/** @type {string} */ name) => fileURLToPath(new URL(`./pages/${name}.lua`, import.meta.url));

/** @param {import('./options.mjs').Options} options @param {string} folder */
export async function measureStreaming(options, folder) {
  const bytes = (options.quick ? 64 : 1024) * MIB;
  const results = [];
  for (const server of options.servers) {
    results.push(
      await stream(options, folder, server, 'answer', async (address) => {
        const { bodyBytes } = await ask(address, pageOf('put-pieces'), { query: String(bytes / MIB) });
        return bodyBytes;
      }),
      await stream(options, folder, server, 'body', async (address) => {
        const { start } = await ask(address, pageOf('read-pieces'), { bodyBytes: bytes });
        return Number(start.slice(start.indexOf('\r\n\r\n')));
      }),
    );
  }
  for (const { what, passedBytes } of results) {
    if (passedBytes !== bytes) throw new Error(`the ${what} came as ${passedBytes} bytes of ${bytes}`);
  }
  say(`### ${bytes / MIB} MiB in pieces of 64 KiB, through a server that has served one page before\n`);
  sayTable(
    ['server|', 'what|', 'MB/s', 'server CPU s', 'idle MiB', 'peak MiB', 'peak over idle, MiB'],
    results.map(({ name, what, seconds, cpuMicros, idleBytes, peakBytes }) => [
      name,
      what === 'answer' ? 'answer (con:puts)' : 'request body (con:gets)',
      fixed(bytes / seconds / 1e6),
      fixed(cpuMicros / 1e6, 2),
      fixed(idleBytes / MIB, 1),
      fixed(peakBytes / MIB, 1),
      fixed((peakBytes - idleBytes) / MIB, 1),
    ]),
  );
  return results;
}

/**
 * @param {import('./options.mjs').Options} options
 * @param {string} folder
 * @param {import('./peers/luafcgid.mjs').OwnServer} own
 * @param {'answer' | 'body'} what
 * @param {(address: string) => Promise<number>} pass lets the bytes through and says how many came
 */
async function stream(options, folder, own, what, pass) {
  const server = await startLuafcgid(folder, own, `workers = ${options.workers}\nmaxpost = ${4096 * MIB}`);
  try {
    await ask(server.address, pageFile('hello', 'lua'));
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    resetPeakMemory(server.pid);
    const { residentBytes } = memoryOf(server.pid);
    const beginCpu = cpuMicrosOf(server.pid);
    const begin = performance.now();
    const passedBytes = await pass(server.address);
    const seconds = (performance.now() - begin) / 1000;
    const cpuMicros = cpuMicrosOf(server.pid) - beginCpu;
    const { peakBytes } = memoryOf(server.pid);
    return { name: own.name, what, passedBytes, seconds, cpuMicros, idleBytes: residentBytes, peakBytes };
  } finally {
    await server.stop();
  }
}
