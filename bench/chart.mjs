// Draws a chart of the results of `npm run bench -- pages`: node bench/chart.mjs RESULTS.json > docs/pictures/speed.svg
// Each bar is the median of the runs; the date and the machine stand below, and the lines of CHART_COMMAND.
import { readFileSync } from 'node:fs';
import { median } from './statistics.mjs';

const WIDTH = 760;
const LABEL_WIDTH = 190;
const BAR_HEIGHT = 20;
const GAP = 6;
const TITLE_HEIGHT = 34;
const COLORS = ['#2563c9', '#2f9e6e', '#8250c4', '#9a9fa6', '#c2c6cc'];

const [file] = process.argv.slice(2);
if (file === undefined) {
  console.error('node bench/chart.mjs RESULTS.json');
  process.exit(2);
}
const { date, machine, options, pages } = JSON.parse(readFileSync(file, 'utf8'));

const escaped = (/** @type {string} */ text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const servers = [...new Set(pages.flatMap(({ runs }) => Object.keys(runs[0])))];
const color = (/** @type {string} */ name) => COLORS[servers.indexOf(name) % COLORS.length];
const own = new Set(options.servers.map((/** @type {{name: string}} */ { name }) => name));
const labelOf = (/** @type {string} */ name) => (own.has(name) && name !== 'luafcgid' ? `luafcgid, ${name}` : name);
const most = Math.max(...pages.flatMap(({ runs }) => Object.keys(runs[0]).map((name) => rateOf(runs, name))));

/** @param {Record<string, {requests: number, seconds: number}>[]} runs @param {string} name */
function rateOf(runs, name) {
  return median(runs.map((run) => run[name].requests / run[name].seconds));
}

const parts = [];
let y = 10;
for (const { page, way, keep, connections, runs } of pages) {
  const place = way === 'nginx' ? 'behind nginx' : 'directly over FastCGI';
  const title = `${page}, ${place}, ${connections} connections, ${keep ? 'kept' : 'a new one each'}`;
  parts.push(`<text class="title" x="0" y="${y + 18}">${escaped(title)}</text>`);
  y += TITLE_HEIGHT;
  for (const name of Object.keys(runs[0])) {
    const rate = rateOf(runs, name);
    const width = Math.max(1, Math.round(((WIDTH - LABEL_WIDTH - 90) * rate) / most));
    parts.push(
      `<text x="${LABEL_WIDTH - 10}" y="${y + 15}" text-anchor="end">${escaped(labelOf(name))}</text>`,
      `<rect x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR_HEIGHT}" rx="2" fill="${color(name)}"/>`,
      `<text x="${LABEL_WIDTH + width + 8}" y="${y + 15}">${Math.round(rate).toLocaleString('en-US')}</text>`,
    );
    y += BAR_HEIGHT + GAP;
  }
  y += 12;
}
const facts = [
  `requests a second, medians of ${options.runs} runs; ${options.workers} workers in each server`,
  `${date.slice(0, 10)}, ${machine.processors} × ${machine.processor}, Linux ${machine.kernel.split('-')[0]}, Node.js ${machine.node}`,
  ...(process.env.CHART_COMMAND ?? '').split('\n'),
];
for (const fact of facts.filter((text) => text !== '')) {
  parts.push(`<text class="fact" x="0" y="${y + 14}">${escaped(fact)}</text>`);
  y += 18;
}
console.log(`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 10}" viewBox="0 0 ${WIDTH} ${y + 10}" role="img" aria-label="Requests a second of ${escaped(servers.join(', '))}">
<style>text{font:14px system-ui,sans-serif;fill:#333}.title{font-weight:600}.fact{font-size:12px;fill:#666}@media(prefers-color-scheme:dark){text{fill:#ddd}.fact{fill:#aaa}}</style>
${parts.join('\n')}
</svg>`);
