/** The command line of the benchmark. */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { pages } from './pages/pages.mjs';
import { ownServers } from './peers/luafcgid.mjs';

export const parts = /** @type {const} */ ([
  'pages',
  'hog',
  'images',
  'clients',
  'data',
  'overload',
  'policy',
  'state-cost',
  'streaming',
]);

export const USAGE = `npm run bench [-- [PART...] [OPTIONS]]

Parts (default: all): ${parts.join(' ')}
  --quick                   a short version: 1 run, half a second each, fewer cases
  --runs N                  runs of each case; the tables show medians (5)
  --seconds S               length of each measurement (2)
  --page NAME               measure this page only, may be given several times: ${pages.map((page) => page.name).join(' ')}
  --way WAY                 direct or nginx, may be given several times (both)
  --mode MODE               kept or new connections, may be given several times (both)
  --connections A,B,...     numbers of connections (1,8,32)
  --workers N               workers of each server (number of processors, at least 2)
  --settings LUA            lines of configuration for each luafcgid that is measured
  --engine NAME             measure luafcgid with this engine, under its name; may be given several times
  --variant NAME=LUA        measure luafcgid once more, with these further lines of configuration
  --checkout NAME=PATH      measure the luafcgid of another checkout, already built: its folder or its bin/luafcgid;
                            a --variant of the same NAME gives it lines of configuration
  --peer NAME=SOCKET[,PID]  measure a FastCGI server that runs already; with PID its CPU time too
  --peer-script NAME=PATH   its script; {page} in PATH stands for the page's name (the pages in bench/pages)
  --reference NAME          the server that the others are compared with (the first luafcgid)
  --no-php                  leave php-fpm out
  --no-install              do not install missing programs
`;

/**
 * @typedef {ReturnType<typeof readOptions>} Options
 * @param {readonly string[]} argv
 */
export function readOptions(argv) {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      quick: { type: 'boolean', default: false },
      runs: { type: 'string' },
      seconds: { type: 'string' },
      page: { type: 'string', multiple: true, default: [] },
      way: { type: 'string', multiple: true, default: [] },
      mode: { type: 'string', multiple: true, default: [] },
      connections: { type: 'string' },
      workers: { type: 'string' },
      settings: { type: 'string', default: '' },
      engine: { type: 'string', multiple: true, default: [] },
      variant: { type: 'string', multiple: true, default: [] },
      checkout: { type: 'string', multiple: true, default: [] },
      peer: { type: 'string', multiple: true, default: [] },
      'peer-script': { type: 'string', multiple: true, default: [] },
      reference: { type: 'string' },
      'no-php': { type: 'boolean', default: false },
      'no-install': { type: 'boolean', default: false },
    },
  });
  const { quick } = values;
  const pageNames = pages.map((page) => page.name);
  const defaultWorkers = Math.max(2, cpus().length);
  return {
    help: values.help,
    quick,
    parts: chosen('part', positionals, parts),
    runs: number('--runs', values.runs ?? (quick ? '1' : '5'), 1),
    seconds: number('--seconds', values.seconds ?? (quick ? '0.5' : '2'), 0.05),
    pages: chosen('--page', values.page, pageNames),
    ways: chosen('--way', values.way, /** @type {const} */ (['direct', 'nginx'])),
    modes: chosen('--mode', values.mode, /** @type {const} */ (['kept', 'new'])),
    connections: (values.connections ?? (quick ? '1,8' : '1,8,32'))
      .split(',')
      .map((text) => number('--connections', text, 1)),
    workers: number('--workers', values.workers ?? String(defaultWorkers), 1),
    servers: ownServers({
      settings: values.settings,
      engines: values.engine,
      variants: values.variant,
      checkouts: values.checkout,
    }),
    peers: values.peer,
    peerScripts: values['peer-script'],
    reference: values.reference,
    withPhp: !values['no-php'],
    mayInstall: !values['no-install'],
  };
}

/**
 * @template {string} Name
 * @param {string} what
 * @param {readonly string[]} names none: all
 * @param {readonly Name[]} all
 * @returns {Name[]}
 */
function chosen(what, names, all) {
  for (const name of names) {
    if (!all.some((known) => known === name)) throw new Error(`no ${what} ${name}; known: ${all.join(' ')}`);
  }
  return all.filter((name) => names.length === 0 || names.includes(name));
}

/** @param {string} name @param {string} text @param {number} min */
function number(name, text, min) {
  const value = Number(text);
  if (text.trim() === '' || !(value >= min)) throw new Error(`${name} is a number, at least ${min}; got ${text}`);
  return value;
}
