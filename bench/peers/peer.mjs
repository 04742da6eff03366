/**
 * A FastCGI server as the benchmark sees it.
 *
 * @typedef {object} Peer
 * @property {string} name
 * @property {string} address socket path or `host:port`
 * @property {number | undefined} pid whose CPU time is the server's; undefined when not known
 * @property {(page: string) => string} script path of a page's script
 * @property {(ways: {keep: boolean, connections: number}) => boolean} measures whether it takes part in a case
 * @property {() => Promise<void>} stop
 */

/**
 * The servers given with `--peer NAME=SOCKET[,PID]` and `--peer-script NAME=PATH`. They run already, and go on running.
 * @param {readonly string[]} peers
 * @param {readonly string[]} scripts PATH is one script for every page, or has `{page}` in it
 * @param {(page: string) => string} defaultScript
 * @returns {Peer[]}
 */
export function givenPeers(peers, scripts, defaultScript) {
  const templates = new Map(scripts.map((text) => split(text, '--peer-script NAME=PATH')));
  return peers.map((text) => {
    const [name, target] = split(text, '--peer NAME=SOCKET[,PID]');
    const [, address, pid] = /^(.*?)(?:,([0-9]+))?$/.exec(target) ?? [];
    const template = templates.get(name);
    return {
      name,
      address,
      pid: pid === undefined ? undefined : Number(pid),
      script: (page) => template?.replaceAll('{page}', page) ?? defaultScript(page),
      measures: () => true,
      stop: async () => {},
    };
  });
}

/**
 * The server that the others are compared with.
 * @param {readonly Peer[]} peers
 * @param {string | undefined} wanted its name; without one, the first
 */
export function referenceOf(peers, wanted) {
  const names = peers.map((peer) => peer.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`no two servers may be called ${twice}`);
  if (wanted === undefined) return names[0];
  if (!names.includes(wanted)) throw new Error(`no --reference ${wanted}; known: ${names.join(', ')}`);
  return wanted;
}

/** @param {string} text @param {string} usage @returns {[name: string, value: string]} */
export function split(text, usage) {
  const equals = text.indexOf('=');
  if (equals < 1) throw new Error(`${usage} expected, got ${text}`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}
