/** Starts the servers that are compared. */
import { pageFile } from '../pages/pages.mjs';
import { startLuafcgid } from './luafcgid.mjs';
import { givenPeers } from './peer.mjs';
import { startPhpFpm } from './php-fpm.mjs';

/**
 * @typedef {import('./peer.mjs').Peer} Peer
 * @param {Peer[]} peers filled one by one, so that what was started can be stopped
 * @param {import('../options.mjs').Options} options
 * @param {string} folder for sockets and configurations
 * @param {{workers: number, phpFpm: string | undefined, mostConnections?: number}} wanted with `mostConnections` php-fpm
 *   is there a second time, with as many children
 */
export async function startPeers(peers, options, folder, { workers, phpFpm, mostConnections }) {
  const luaScript = (/** @type {string} */ page) => pageFile(page, 'lua');
  for (const own of options.servers) {
    const running = await startLuafcgid(folder, own, `workers = ${workers}`);
    peers.push({ ...running, name: own.name, script: luaScript, measures: () => true });
  }
  peers.push(...givenPeers(options.peers, options.peerScripts, luaScript));
  if (phpFpm !== undefined) await startPhpPeers(peers, folder, phpFpm, workers, mostConnections);
}

/**
 * @param {Peer[]} peers
 * @param {string} folder
 * @param {string} phpFpm
 * @param {number} workers
 * @param {number | undefined} mostConnections
 */
async function startPhpPeers(peers, folder, phpFpm, workers, mostConnections) {
  const few = { name: 'few', children: workers };
  const pools = mostConnections === undefined ? [few] : [few, { name: 'many', children: mostConnections }];
  const { pid, addresses, stop } = await startPhpFpm(phpFpm, folder, pools);
  const script = (/** @type {string} */ page) => pageFile(page, 'php');
  peers.push({ name: 'php-fpm', address: addresses[0], pid, script, measures: () => true, stop });
  if (mostConnections === undefined) return;
  peers.push({
    name: `php-fpm (${mostConnections})`,
    address: addresses[1],
    pid,
    script,
    // A child serves one connection at a time: with more kept connections than children some get no answer.
    measures: ({ keep, connections }) => keep && connections > workers,
    stop: async () => {},
  });
}
