/** The style of the status page: light and dark, from phones to wide screens. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1c2430; --soft: #5a6676; --line: #dde2e9;
  --good: #1f7a4d; --warn: #9a5b00; --bad: #b3261e; --mark: #2563c9; }
@media (prefers-color-scheme: dark) { :root { --back: #12161c; --card: #1b212a; --text: #e4e9f0; --soft: #9aa7b8;
  --line: #2d3643; --good: #5fd39a; --warn: #f0b35b; --bad: #ff8a80; --mark: #7fb0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
header, main, footer { max-width: 1400px; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1rem; }
h1 { font-size: 1.3rem; margin: 0; }
h1 span { color: var(--soft); font-weight: 400; }
h2 { font-size: 1rem; margin: 0 0 .5rem; }
header p { margin: .2rem 0; color: var(--soft); overflow-wrap: anywhere; }
#news { color: var(--bad); min-height: 1.3em; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; margin: 0 0 1rem; }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: .8rem; background: none; border: 0; padding: 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .85rem; }
.tile svg { display: block; width: 100%; height: 32px; margin-top: .3rem; }
.tile path { fill: none; stroke: var(--mark); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide { overflow-wrap: anywhere; min-width: 12rem; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.none { color: var(--soft); margin: 0; }
meter { width: 100%; min-width: 6rem; height: .7rem; }
footer { padding-bottom: 2rem; color: var(--soft); }
footer a { color: var(--mark); margin-right: .8rem; }
@media (max-width: 900px) { .tiles { grid-template-columns: 1fr 1fr; } }
@media (max-width: 600px) {
  section { padding: .6rem .7rem; }
  table, tbody, tr, td { display: block; width: auto; }
  thead { display: none; }
  tr { display: grid; grid-template-columns: 1fr 1fr; column-gap: .8rem; padding: .4rem 0; border-bottom: 1px solid var(--line); }
  tr:last-child { border-bottom: 0; }
  td, .number { border: 0; padding: .05rem 0; text-align: left; white-space: normal; overflow-wrap: anywhere; }
  td::before { content: attr(data-name) ": "; color: var(--soft); }
  td.wide { grid-column: 1 / -1; min-width: 0; }
  td.empty { display: none; }
  meter { width: 60%; }
}
`;
