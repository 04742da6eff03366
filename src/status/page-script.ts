/** The script of the status page: plain JavaScript for browsers. */
export const PAGE_SCRIPT = `
'use strict';
const EVERY_MS = 2000, POINTS = 60;
const history = {};
const at = (id) => document.getElementById(id);
const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};
const reasons = (counts) => Object.entries(counts).map(([why, times]) => why + ': ' + count(times)).join(', ');
const count = (value) => Math.round(value).toLocaleString('en-US');
const time = (ms) => ms === null || ms === undefined ? '–' : ms < 10 ? ms.toFixed(2) + ' ms' : ms < 1000 ? Math.round(ms) + ' ms'
  : ms < 60000 ? (ms / 1000).toFixed(1) + ' s' : ms < 3600000 ? Math.floor(ms / 60000) + ' min'
  : ms < 86400000 ? (ms / 3600000).toFixed(1) + ' h' : (ms / 86400000).toFixed(1) + ' d';
const mebibytes = (bytes) => bytes === undefined || bytes === null ? '–' : (bytes / 1048576).toFixed(bytes < 104857600 ? 1 : 0) + ' MiB';
const clock = (ms) => new Date(ms).toLocaleTimeString();

function table(id, columns, rows, empty) {
  const place = at(id);
  if (rows.length === 0) return place.replaceChildren(make('p', empty, 'none'));
  const head = make('tr');
  for (const [name, , kind] of columns) head.append(make('th', name, kind === 'number' ? 'number' : ''));
  const body = make('tbody');
  for (const row of rows) {
    const line = make('tr');
    for (const [name, value, kind] of columns) {
      const shown = value(row);
      const cell = shown instanceof Node ? make('td') : make('td', shown, kind);
      if (shown instanceof Node) cell.append(shown);
      if (shown === '') cell.classList.add('empty');
      cell.dataset.name = name;
      line.append(cell);
    }
    body.append(line);
  }
  const whole = make('table'), top = make('thead'), scroll = make('div', undefined, 'scroll');
  top.append(head);
  whole.append(top, body);
  scroll.append(whole);
  const old = place.firstChild;
  const left = old instanceof Element ? old.scrollLeft : 0;
  place.replaceChildren(scroll);
  scroll.scrollLeft = left;
}

function tile(name, text, value, className) {
  const points = history[name] = (history[name] || []).concat(value).slice(-POINTS);
  const box = make('div', undefined, 'tile');
  box.append(make('span', name), make('b', text, className));
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 ' + (POINTS - 1) + ' 30');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const most = Math.max(1, ...points), first = POINTS - points.length;
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', points.map((point, i) => (i ? 'L' : 'M') + (first + i) + ' ' + (29 - 28 * point / most).toFixed(1)).join(''));
  svg.append(path);
  box.append(svg);
  return box;
}

let last;
function rate(status, name, value) {
  const now = status.server.time_ms;
  const before = last && last[name];
  const seconds = last ? (now - last.time) / 1000 : 0;
  return before === undefined || seconds <= 0 ? 0 : Math.max(0, (value - before) / seconds);
}

function show(status) {
  const { server, requests, workers, states, connections, limits } = status;
  at('version').textContent = server.version;
  at('about').textContent = server.engine + ', ' + server.io + ' · up ' + time(server.uptime_seconds * 1000) + ' · process ' + server.pid
    + ' · ' + (server.configuration || 'default configuration')
    + (server.last_reload ? ' · reload at ' + clock(server.last_reload.time_ms) + (server.last_reload.is_refused ? ' refused' : ' ok') : '')
    + ' · ' + server.listeners.join(', ');
  const refused = requests.refused.reduce((sum, each) => sum + each.count, 0);
  const failed = requests.failed + refused;
  const perSecond = last ? rate(status, 'total', requests.total) : requests.per_second;
  const failing = rate(status, 'failed', failed);
  const busy = workers.filter((worker) => worker.state !== 'idle').length;
  at('tiles').replaceChildren(
    tile('requests a second', perSecond < 100 ? perSecond.toFixed(1) : count(perSecond), perSecond),
    tile('running', count(requests.running) + (requests.suspended ? ' (' + count(requests.suspended) + ' wait)' : ''), requests.running),
    tile('waiting for a state', count(requests.waiting) + (requests.waiting ? ' · ' + time(requests.oldest_wait_ms) : ''), requests.waiting, requests.waiting ? 'warn' : ''),
    tile('failed or refused a second', failing.toFixed(1), failing, failing > 0 ? 'bad' : ''),
    tile('workers busy', busy + ' of ' + server.worker_count, busy, busy >= server.worker_count ? 'warn' : ''),
    tile('connections', count(connections.open), connections.open),
    tile('states', count(states.total), states.total),
    tile('memory of the process', mebibytes(server.resident_bytes), server.resident_bytes));
  last = { time: server.time_ms, total: requests.total, failed };
  table('requests', [
    ['Request', (r) => r.method + ' ' + (r.path || r.script), 'wide'], ['Since', (r) => time(r.age_ms), 'number'],
    ['Stage', (r) => r.stage], ['Waits for, or is at', (r) => r.line || r.waits_for], ['Ran', (r) => time(r.executed_ms), 'number'],
    ['Client', (r) => r.client], ['Worker', (r) => r.worker === undefined ? '' : r.worker, 'number'],
    ['State', (r) => r.state === undefined ? '' : r.state, 'number'], ['Name', (r) => r.request],
  ], status.running.concat(status.waiting).slice(0, 100), 'No request is under way.');
  table('scripts', [
    ['Script', (s) => s.script || '(all others)', 'wide'], ['Requests', (s) => count(s.requests), 'number'],
    ['States', (s) => s.states, 'number'], ['Run p50', (s) => time(s.run_p50_ms), 'number'], ['p99', (s) => time(s.run_p99_ms), 'number'],
    ['Queue p99', (s) => time(s.queue_p99_ms), 'number'], ['Wait p99', (s) => time(s.wait_p99_ms), 'number'],
    ['Failed', (s) => count(s.failed), 'number'], ['Timed out', (s) => count(s.timed_out), 'number'],
    ['Memory', (s) => mebibytes(s.memory_bytes), 'number'], ['Blocking waits', (s) => count(s.blocked_waits), 'number'],
    ['From image', (s) => count(s.clones), 'number'], ['Loaded without image', (s) => reasons(s.no_image)],
  ], status.scripts.slice(0, 100), 'No script has been asked for yet.');
  table('errors', [
    ['Count', (e) => count(e.count), 'number'], ['Last', (e) => clock(e.last_ms)], ['Place', (e) => e.place || e.script, 'wide'],
    ['Error', (e) => (e.code ? e.code + ': ' : '') + e.text, 'wide'], ['Request', (e) => e.request],
  ], status.errors.slice(0, 50), 'No errors since the start.');
  table('limits', [
    ['Setting', (l) => l.name], ['Used', (l) => l.unit === 'bytes' ? mebibytes(l.used) : count(l.used), 'number'],
    ['Limit', (l) => l.unit === 'bytes' ? mebibytes(l.limit) : count(l.limit), 'number'],
    ['', (l) => { const bar = make('meter'); bar.max = l.limit || 1; bar.value = l.used; bar.high = 0.8 * bar.max; bar.title = l.name; return bar; }],
  ], limits, '');
  table('workers', [
    ['Worker', (w) => w.worker, 'number'], ['State', (w) => w.state], ['For', (w) => w.busy_ms ? time(w.busy_ms) : '', 'number'],
    ['Script', (w) => w.script, 'wide'], ['Suspended', (w) => count(w.suspended), 'number'], ['States', (w) => count(w.states), 'number'],
    ['Lent connections', (w) => count(w.lent), 'number'], ['Requests', (w) => count(w.requests), 'number'],
  ], workers, 'No worker is there.');
  table('sources', [
    ['Name', (s) => s.name], ['Kind', (s) => s.kind], ['Open', (s) => s.open + ' of ' + s.connections, 'number'],
    ['Busy', (s) => count(s.busy), 'number'], ['Waiting', (s) => s.waiting + ' of ' + s.queue, 'number'],
    ['', (s) => { const state = make('span', s.down || 'reachable', s.down ? 'bad' : 'good'); return state; }],
  ], server.sources, 'No data source is configured.');
  table('dictionaries', [
    ['Name', (d) => d.name], ['Values', (d) => count(d.items), 'number'],
    ['Used', (d) => mebibytes(d.used_bytes) + ' of ' + mebibytes(d.size_bytes), 'number'],
    ['', (d) => { const bar = make('meter'); bar.max = d.size_bytes || 1; bar.value = d.used_bytes; bar.title = d.name; return bar; }],
    ['Hits', (d) => count(d.hits), 'number'], ['Misses', (d) => count(d.misses), 'number'], ['Expired', (d) => count(d.expired), 'number'],
    ['Evicted', (d) => count(d.evictions), 'number'],
    ['No room', (d) => make('span', count(d.failures), d.failures ? 'bad' : ''), 'number'],
  ], server.dictionaries, 'No shared dictionary is configured.');
  table('states', [
    ['State', (s) => s.state, 'number'], ['Script', (s) => s.script, 'wide'], ['Worker', (s) => s.worker, 'number'], ['Phase', (s) => s.phase],
    ['Requests', (s) => count(s.requests), 'number'], ['Age', (s) => time(s.age_ms), 'number'], ['Memory', (s) => mebibytes(s.memory_bytes), 'number'],
    ['Score', (s) => s.score === undefined ? '' : s.score.toFixed(1), 'number'],
  ], states.list.slice(0, 100), 'No state is there.');
}

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch('?json', { cache: 'no-store' });
    if (!answer.ok) throw new Error('status ' + answer.status);
    show(await answer.json());
    at('news').textContent = '';
  } catch (error) {
    at('news').textContent = 'The server does not answer: ' + error.message;
  }
}
look();
setInterval(look, EVERY_MS);
document.addEventListener('visibilitychange', look);
`;
