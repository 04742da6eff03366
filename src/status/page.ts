/**
 * The status as a page for people: one file without outside assets. It asks for the JSON form every two seconds. All that
 * requests can name (paths, clients, scripts) is put in as text, never as HTML.
 */
import { PAGE_SCRIPT } from './page-script.js';
import { PAGE_STYLE } from './page-style.js';

const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:";

export const STATUS_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="robots" content="noindex">
<title>luafcgid status</title>
<link rel="icon" href="data:,">
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>luafcgid <span id="version"></span></h1>
<p id="about"></p>
<p id="news" role="status" aria-live="polite"></p>
</header>
<main>
<section class="tiles" id="tiles" aria-label="Figures"></section>
<section><h2>Requests under way</h2><div id="requests"></div></section>
<section><h2>Scripts</h2><div id="scripts"></div></section>
<section><h2>Errors</h2><div id="errors"></div></section>
<section><h2>Limits</h2><div id="limits"></div></section>
<section><h2>Workers</h2><div id="workers"></div></section>
<section><h2>Data sources</h2><div id="sources"></div></section>
<section><h2>Shared dictionaries</h2><div id="dictionaries"></div></section>
<section><h2>States</h2><div id="states"></div></section>
<noscript><p>This page needs JavaScript. The same figures as text: <a href="?text">?text</a>, <a href="?json">?json</a>,
<a href="?openmetrics">?openmetrics</a>.</p></noscript>
</main>
<footer><a href="?text">text</a> <a href="?json">JSON</a> <a href="?openmetrics">OpenMetrics</a></footer>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
