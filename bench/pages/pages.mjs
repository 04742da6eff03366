/** The pages that are measured. Each is written once in Lua and once in PHP, and does the same in both. */
import { fileURLToPath } from 'node:url';

/**
 * @typedef {object} Page
 * @property {string} name
 * @property {string} about
 * @property {import('../load/answer.mjs').Expectation} expected
 */

/** @type {readonly Page[]} */
export const pages = [
  {
    name: 'hello',
    about: 'one line of text',
    expected: { ending: '\n', contains: 'Hello, world!', minBytes: 14 },
  },
  {
    name: 'environment',
    about: 'all parameters of the request, sorted and escaped',
    expected: { ending: '</table>\n', contains: '<th>HTTP_USER_AGENT</th>', minBytes: 500 },
  },
  {
    name: 'table',
    about: 'a table of 200 rows with two escaped columns (24 KB)',
    expected: { ending: '</table>\n', contains: '<td>Name &lt;200&gt;</td>', minBytes: 20_000 },
  },
  {
    name: 'template',
    about: 'the same table, made by luafcgid.template; in PHP as before',
    expected: { ending: '</table>\n', contains: '<td>Name &lt;200&gt;</td>', minBytes: 20_000 },
  },
];

/** @param {string} name @param {'lua' | 'php'} language */
export const pageFile = (name, language) => fileURLToPath(new URL(`./${name}.${language}`, import.meta.url));
