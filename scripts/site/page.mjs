/** The frame around what pages show. */
import { posix } from 'node:path';
import hljs from 'highlight.js/lib/common';
import { escaped } from './document.mjs';

/**
 * @typedef {import('./document.mjs').Document} Document
 * @param {{document: Document, body: string, version: string,
 *   navigation: readonly {title: string, documents: readonly Document[]}[]}} page
 */
export function renderPage({ document, body, navigation, version }) {
  const entry = (/** @type {Document} */ other) => {
    const isHere = other === document;
    const title = other.address === 'index.html' ? 'Overview' : other.title;
    const link = `<a href="${escaped(document.addressTo(other.address))}"${isHere ? ' aria-current="page"' : ''}>${escaped(title)}</a>`;
    const headings = isHere
      ? `<ul>${other.headings.map(({ text, id }) => `<li><a href="#${id}">${escaped(text)}</a></li>`).join('')}</ul>`
      : '';
    return `<li>${link}${headings}</li>`;
  };
  const menu = navigation
    .map(({ title, documents }) => {
      const list = `<ul>${documents.map(entry).join('')}</ul>`;
      if (title === '') return list;
      return `<details${documents.includes(document) ? ' open' : ''}><summary>${title}</summary>${list}</details>`;
    })
    .join('');
  return frame({
    title: document.address === 'index.html' ? 'luafcgid' : `${document.title} · luafcgid`,
    address: document.address,
    nav: `<nav aria-label="Documents">${menu}</nav>`,
    main: `<article>${body}</article>`,
    version,
  });
}

/** @param {{path: string, text: string, address: string}} file */
export function renderSource({ path, text, address }) {
  const language = { lua: 'lua', json: 'json', sh: 'bash', ts: 'typescript' }[path.split('.').at(-1) ?? ''];
  const html = language === undefined ? escaped(text) : hljs.highlight(text, { language }).value;
  const main = `<article><h1><code>${escaped(path)}</code></h1><pre tabindex="0"><code>${html}</code></pre></article>`;
  return frame({ title: `${path} · luafcgid`, address, main });
}

/** @param {{path: string, links: readonly string[], address: string}} folder */
export function renderListing({ path, links, address }) {
  const items = links.map(
    (link) => `<li><a href="${escaped(link)}">${escaped(link.replace(/(\/index)?\.html$/, ''))}</a></li>`,
  );
  return frame({
    title: `${path} · luafcgid`,
    address,
    main: `<article><h1><code>${escaped(path)}/</code></h1><ul>${items.join('')}</ul></article>`,
  });
}

/** @param {{title: string, address: string, main: string, nav?: string, version?: string}} parts */
function frame({ title, address, main, nav = '', version = '' }) {
  const to = (/** @type {string} */ target) => posix.relative(posix.dirname(address), target);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<link rel="stylesheet" href="${to('style.css')}">
</head>
<body data-root="${escaped(posix.relative(posix.dirname(address), '.') || '.')}">
<a class="skip" href="#content">Skip to the text</a>
<header>
<a class="home" href="${to('index.html')}">luafcgid</a> <span class="version">${escaped(version)}</span>
<form role="search" class="search"><input type="search" placeholder="Search" aria-label="Search the documents" autocomplete="off"></form>
</header>
<ol class="results" hidden aria-live="polite"></ol>
<div class="columns">
${nav === '' ? '' : `<details class="menu" open><summary>Documents</summary>${nav}</details>`}
<main id="content">${main}</main>
</div>
<script src="${to('search-index.js')}" defer></script>
<script src="${to('search.js')}" defer></script>
</body>
</html>
`;
}
