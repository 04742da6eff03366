/** The search of the website: runs in the browser, on the sections that `search-index.js` has. */
import MiniSearch from 'minisearch';

const MOST_RESULTS = 12;
const SHOWN_CHARS = 160;

const input = document.querySelector('.search input');
const results = document.querySelector('.results');
const root = document.body.dataset.root;
const menu = document.querySelector('details.menu');
if (menu !== null && matchMedia('(max-width: 56rem)').matches) menu.removeAttribute('open');

let index;

function makeIndex() {
  const made = new MiniSearch({
    fields: ['title', 'page', 'text'],
    storeFields: ['address', 'page', 'title', 'text'],
    searchOptions: { boost: { title: 4, page: 2 }, prefix: true, fuzzy: 0.15, combineWith: 'AND' },
  });
  made.addAll(window.luafcgidSections.map((section, id) => ({ id, ...section })));
  return made;
}

function show() {
  const query = input.value.trim();
  results.hidden = query === '';
  if (query === '') return;
  index ??= makeIndex();
  const found = index.search(query).slice(0, MOST_RESULTS);
  results.replaceChildren(...(found.length === 0 ? [item(`Nothing was found for “${query}”.`)] : found.map(result)));
}

function item(text) {
  const li = document.createElement('li');
  li.textContent = text;
  return li;
}

function result({ address, page, title, text }) {
  const li = document.createElement('li');
  const link = document.createElement('a');
  link.href = `${root}/${address}`;
  link.textContent = title === page ? title : `${page}: ${title}`;
  link.addEventListener('click', () => {
    results.hidden = true;
  });
  const shown = document.createElement('p');
  shown.textContent = text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
  li.append(link, shown);
  return li;
}

input.addEventListener('input', show);
input.form.addEventListener('submit', (event) => {
  event.preventDefault();
  results.querySelector('a')?.click();
});
document.addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof HTMLInputElement;
  if (event.key === '/' && !isTyping) {
    event.preventDefault();
    input.focus();
  } else if (event.key === 'Escape' && isTyping) {
    input.value = '';
    show();
    input.blur();
  }
});
