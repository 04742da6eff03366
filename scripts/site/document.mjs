/** A document in Markdown: its place on the site, its HTML, and its sections for the search. */
import { posix } from 'node:path';
import hljs from 'highlight.js/lib/common';
import { Marked } from 'marked';

/** Names of languages in the documents that highlight.js knows by others. */
const LANGUAGES = { console: 'shell', sh: 'bash', conf: 'ini', text: 'plaintext' };

export class Document {
  #text;
  /** Path in the repository. */
  path;
  /** Path on the site. */
  address;
  title;
  /** Headings of the second level. */
  /** @type {{text: string, id: string}[]} */
  headings = [];

  /** @param {string} path @param {string} text */
  constructor(path, text) {
    this.path = path;
    this.#text = text;
    this.address = path === 'README.md' ? 'index.html' : path.replace(/\.md$/, '.html').toLowerCase();
    this.title = plain(/^# (.*)$/m.exec(text)?.[1] ?? path);
    for (const [, heading = ''] of withoutCode(text).matchAll(/^## (.*)$/gm)) {
      this.headings.push({ text: plain(heading), id: idOf(heading) });
    }
  }

  /** @param {string} address of another page @returns {string} as it is linked to from here */
  addressTo(address) {
    return posix.relative(posix.dirname(this.address), address);
  }

  /** @param {(target: string) => string} resolveLink */
  render(resolveLink) {
    const marked = new Marked({ gfm: true });
    marked.use({
      renderer: {
        heading({ tokens, depth, text }) {
          const id = idOf(text);
          const inner = this.parser.parseInline(tokens);
          return `<h${depth} id="${id}">${inner} <a class="anchor" href="#${id}" aria-label="Link to this section">#</a></h${depth}>\n`;
        },
        link({ href, tokens }) {
          return `<a href="${escaped(resolveLink(href))}">${this.parser.parseInline(tokens)}</a>`;
        },
        image({ href, text }) {
          return `<img src="${escaped(resolveLink(href))}" alt="${escaped(text)}" loading="lazy">`;
        },
        code({ text, lang }) {
          const name = LANGUAGES[/** @type {keyof typeof LANGUAGES} */ (lang)] ?? lang ?? 'plaintext';
          const html = hljs.getLanguage(name) ? hljs.highlight(text, { language: name }).value : escaped(text);
          return `<pre tabindex="0"><code>${html}</code></pre>\n`;
        },
        table(token) {
          const cells = (/** @type {typeof token.header} */ row, /** @type {string} */ tag) =>
            `<tr>${row.map((cell) => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('')}</tr>\n`;
          const rows = token.rows.map((row) => cells(row, 'td')).join('');
          return `<div class="table" tabindex="0"><table><thead>${cells(token.header, 'th')}</thead><tbody>${rows}</tbody></table></div>\n`;
        },
        // Comments for the tests of the documents; no document has other HTML but pictures in paragraphs.
        html({ text }) {
          if (text.trim().startsWith('<!--')) return '';
          return text.replace(
            /\b(src|href)="([^"]+)"/g,
            (_, name, target) => `${name}="${escaped(resolveLink(target))}"`,
          );
        },
      },
    });
    return marked.parse(this.#text);
  }

  /** Its sections: where each is, what it is called, and its words. */
  sections() {
    const parts = this.#text.replace(/<!--[\s\S]*?-->/g, '').split(/^(?=#{1,4} )/m);
    return parts.map((part) => {
      const heading = /^#+ (.*)\n?/.exec(part);
      const id = heading === null ? '' : idOf(heading[1] ?? '');
      return {
        address: `${this.address}${id === '' ? '' : `#${id}`}`,
        page: this.title,
        title: plain(heading?.[1] ?? this.title),
        text: plain(part.slice(heading?.[0].length ?? 0)).slice(0, 2000),
      };
    });
  }
}

/** The name by which a heading is linked to: as the code hosts make it. */
export function idOf(/** @type {string} */ heading) {
  return heading
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}

export function escaped(/** @type {string} */ text) {
  return text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char] ?? char);
}

/** @param {string} text */
function withoutCode(text) {
  return text.replace(/^```[\s\S]*?^```/gm, '');
}

/** Markdown without its marks. */
function plain(/** @type {string} */ text) {
  return text
    .replace(/^```.*$/gm, '')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/-{3,}/g, '')
    .replace(/[`*|#]/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}
