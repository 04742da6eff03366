/** What a script has printed while it made a page, shown at the foot of that page to who develops. */
import { escapeHtml } from '../base/html.js';

/** Collects lines from the moment it is made; a call ends that and gives them. */
export type TakeNotes = () => readonly string[];

const MOST_LINES = 200;
const MOST_CHARS = 500;

const STRIP =
  'position:fixed;left:0;right:0;bottom:0;z-index:2147483647;max-height:40vh;overflow:auto;margin:0;padding:.3rem .8rem;' +
  'font:13px/1.5 ui-monospace,monospace;color:#eee;background:#263238;border-top:2px solid #ffb300;text-align:left';
const LINES =
  'margin:.2rem 0;white-space:pre-wrap;overflow-wrap:anywhere;color:inherit;background:none;border:0;padding:0;font:inherit';

const TITLE = 'cursor:pointer';

/** Values of `style` attributes in the strip. */
export const NOTES_STYLES: readonly string[] = [STRIP, TITLE, LINES];

/** A strip of HTML; empty when nothing was printed. */
export function renderNotes(lines: readonly string[]): string {
  if (lines.length === 0) return '';
  const shown = lines.slice(0, MOST_LINES).map((line) => {
    const text = line.length > MOST_CHARS ? `${line.slice(0, MOST_CHARS)}...` : line;
    return escapeHtml(text.trimEnd());
  });
  if (lines.length > MOST_LINES) shown.push(`... and ${lines.length - MOST_LINES} lines more, in the terminal`);
  const title = `${lines.length} ${lines.length === 1 ? 'line' : 'lines'} printed`;
  return `\n<details open style="${STRIP}"><summary style="${TITLE}">${title}</summary><pre style="${LINES}">${shown.join('\n')}</pre></details>\n`;
}
