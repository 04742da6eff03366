/** A profile as one page that needs nothing else: a flame graph, and the lines that took the most time. */
import { escapeHtml } from '../base/html.js';
import { type StackNode, type Stacks, WAITING } from './stacks.js';

export interface ProfileFacts {
  /** What was profiled, e.g. `GET /page.lua`. */
  readonly title: string;
  readonly requests: number;
  readonly durationMs: number;
}

const MOST_LINES = 20;
/** Narrower parts of the whole are not drawn until somebody zooms in. */
const LEAST_SHARE = 0.0005;

/** A node as the page's script reads it: name, count, children. */
type Packed = readonly [name: string, count: number, children: readonly Packed[]];

export function renderProfile(stacks: Stacks, facts: ProfileFacts): string {
  const { root } = stacks;
  const seconds = (facts.durationMs / 1000).toFixed(2);
  const summary = `${root.count} samples of ${facts.requests} ${facts.requests === 1 ? 'request' : 'requests'} in ${seconds} s`;
  const data = JSON.stringify(pack(root, root.count * LEAST_SHARE)).replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Profile of ${escapeHtml(facts.title)}</title>
<style>${STYLE}</style></head>
<body>
<h1>${escapeHtml(facts.title)}</h1>
<p>${escapeHtml(summary)}. Width is time, also that of waiting; what is called stands below. A click zooms in, Escape zooms out.</p>
${root.count === 0 ? '<p>The code ran for too short a time: no stack was seen.</p>' : '<div id="graph" tabindex="0"></div><p id="told">&nbsp;</p>'}
${renderLines(stacks)}
<script>const WAITING = ${JSON.stringify(WAITING)}, DATA = ${data};
${SCRIPT}</script>
</body>
</html>
`;
}

function pack({ name, count, children }: StackNode, least: number): Packed {
  const shown = [...children.values()].filter((child) => child.count >= least);
  return [name, count, shown.sort((left, right) => right.count - left.count).map((child) => pack(child, least))];
}

function renderLines({ lines, root }: Stacks): string {
  const hottest = [...lines].sort(([, left], [, right]) => right - left).slice(0, MOST_LINES);
  if (hottest.length === 0) return '';
  const rows = hottest.map(([place, count]) => {
    const share = ((count / root.count) * 100).toFixed(1);
    return `<tr><td>${share} %</td><td>${count}</td><td>${escapeHtml(place)}</td></tr>\n`;
  });
  return `<h2>Lines</h2>\n<table>\n<tr><th>time</th><th>samples</th><th>line</th></tr>\n${rows.join('')}</table>`;
}

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff }
h1 { font-size: 1.3rem; overflow-wrap: anywhere } h2 { font-size: 1.1rem }
#graph { position: relative; overflow: hidden; font: 12px/18px ui-monospace, monospace }
#graph div { position: absolute; height: 18px; box-sizing: border-box; border: solid #fff; border-width: 0 1px 1px 0; padding: 0 3px;
  overflow: hidden; white-space: nowrap; text-overflow: ellipsis; cursor: pointer; color: #111 }
#graph div:hover { filter: brightness(.88) }
table { border-collapse: collapse; font: 13px/1.6 ui-monospace, monospace } th, td { text-align: left; padding: 0 1.2rem 0 0; overflow-wrap: anywhere }
#told { overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } #graph div { border-color: #181818 } }
`;

/** Draws the tree from the node that was clicked. Nothing of the data is ever markup. */
const SCRIPT = `
const graph = document.getElementById('graph'), told = document.getElementById('told'), ROW = 18, parents = new Map();
(function note(node) { for (const child of node[2]) { parents.set(child, node); note(child); } })(DATA);
let top_ = DATA;
const hueOf = (name) => { let hue = 0; for (const c of name) hue = (hue * 31 + c.codePointAt(0)) % 45; return hue + 10; };
const share = (node) => node[0] + ': ' + node[1] + ' samples, ' + (node[1] / DATA[1] * 100).toFixed(1) + ' %';
function draw() {
  graph.textContent = '';
  const width = graph.clientWidth;
  let depth = 0;
  const box = (node, left, part, row) => {
    if (part * width < 1) return;
    depth = Math.max(depth, row);
    const div = document.createElement('div');
    div.textContent = part * width > 24 ? node[0] : '';
    div.title = share(node);
    div.style.cssText = 'left:' + left * 100 + '%;width:' + part * 100 + '%;top:' + row * ROW + 'px;background:' +
      (node[0] === WAITING ? '#bcc5d0' : 'hsl(' + hueOf(node[0]) + ' 85% 66%)');
    div.onclick = () => { top_ = node; draw(); };
    div.onmouseenter = () => { told.textContent = share(node); };
    graph.append(div);
  };
  const path = [];
  for (let node = parents.get(top_); node; node = parents.get(node)) path.unshift(node);
  path.forEach((node, row) => box(node, 0, 1, row));
  (function below(node, left, part, row) {
    box(node, left, part, row);
    if (part * width < 1) return;
    for (const child of node[2]) {
      const childPart = part * child[1] / node[1];
      below(child, left, childPart, row + 1);
      left += childPart;
    }
  })(top_, 0, 1, path.length);
  graph.style.height = (depth + 1) * ROW + 'px';
}
if (graph) {
  draw();
  addEventListener('resize', draw);
  addEventListener('keydown', (event) => { if (event.key === 'Escape') { top_ = parents.get(top_) || DATA; draw(); } });
}
`;
