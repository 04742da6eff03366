/** The website that `npm run site` makes of the documents, in a browser. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { changeLook, LOOKS, leastContrast, openPage, overflow, startBrowser } from '../support/browser.js';
import { ROOT } from '../support/server.js';

const PROGRAM = join(ROOT, 'scripts/site/build.mjs');

describe('the website of the documents', () => {
  const folder = mkdtempSync(join(tmpdir(), 'luafcgid-site-'));
  const site = join(folder, 'site');
  let browser: Browser;
  const urlOf = (path: string): string => pathToFileURL(join(site, path)).href;

  before(async () => {
    execFileSync(process.execPath, [PROGRAM, site], { cwd: ROOT });
    browser = await startBrowser();
  });
  after(async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('has a page for each document, and links that all lead somewhere', () => {
    const pages = readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.html'));
    const documents = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
    for (const document of documents.filter((file) => file.endsWith('.md'))) {
      assert.ok(pages.includes(join('docs', document.replace(/\.md$/, '.html'))), document);
    }
    const texts = new Map(pages.map((page) => [page, readFileSync(join(site, page), 'utf8')]));
    for (const [page, text] of texts) {
      for (const [, target = ''] of text.matchAll(/ (?:href|src)="([^"]*)"/g)) {
        if (/^https?:/.test(target)) continue;
        const { pathname, hash } = new URL(target, pathToFileURL(join(site, page)));
        const file = fileURLToPath(`file://${pathname}`);
        assert.ok(existsSync(file), `${page} links to ${target}`);
        if (hash === '' || hash === '#content') continue;
        const other = texts.get(relative(site, file)) ?? '';
        assert.ok(other.includes(` id="${decodeURIComponent(hash.slice(1))}"`), `${page} links to ${target}`);
      }
    }
  });

  it('lists every document in its menu', () => {
    const start = readFileSync(join(site, 'index.html'), 'utf8');
    const menu = /<nav[\s\S]*<\/nav>/.exec(start)?.[0] ?? '';
    for (const file of readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))) {
      assert.ok(menu.includes(`href="docs/${file.replace(/\.md$/, '.html')}"`), file);
    }
  });

  for (const path of ['index.html', 'docs/configuration.html', 'docs/reliability.html']) {
    it(`can be read on every screen, and loads nothing from elsewhere: ${path}`, async () => {
      const page = await openPage(browser, 'about:blank', { size: 'phone', colors: 'light' });
      const foreign: string[] = [];
      page.on('request', (request) => {
        if (!request.url().startsWith('file:')) foreign.push(request.url());
      });
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      await page.goto(urlOf(path));
      for (const look of LOOKS) {
        await changeLook(page, look);
        assert.equal(await overflow(page), 0, `${look.size}, ${look.colors}`);
        const contrast = await leastContrast(page, 'article p, article td, article a, nav a, pre code, pre span');
        assert.ok(contrast >= 4.5, `${look.size}, ${look.colors}: ${contrast}`);
      }
      assert.deepEqual([foreign, errors], [[], []]);
      await page.close();
    });
  }

  it('is searched with the keyboard, and what is found is opened', async () => {
    const page = await openPage(browser, urlOf('docs/decisions/0019-waiting.html'), { size: 'wide', colors: 'light' });
    await page.keyboard.press('/');
    await page.keyboard.type('watchdogmax');
    await page.waitForSelector('.results a');
    await page.keyboard.press('Enter');
    await page.waitForURL(/configuration\.html#watchdogmax$/);
    assert.equal(await page.locator('#watchdogmax').isVisible(), true);
    await page.keyboard.press('/');
    await page.keyboard.type('zzzznothing');
    await page.waitForSelector('.results li');
    assert.match((await page.textContent('.results')) ?? '', /Nothing was found/);
    await page.close();
  });

  it('takes no folder of somebody else', () => {
    const full = join(folder, 'full');
    mkdirSync(full);
    writeFileSync(join(full, 'mine.txt'), 'mine');
    assert.throws(() => execFileSync(process.execPath, [PROGRAM, full], { cwd: ROOT, stdio: 'pipe' }), /is not empty/);
    assert.ok(existsSync(join(full, 'mine.txt')));
  });
});
