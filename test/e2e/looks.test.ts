/** Pages that people see, in headless Chromium: at the width of a phone and of a desk, light and dark. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { changeLook, LOOKS, type Look, leastContrast, openPage, overflow, startBrowser } from '../support/browser.js';
import type { Cleanup } from '../support/cleanup.js';
import { ROOT, type Server, startServer } from '../support/server.js';

/** WCAG 2, level AA: text that people with weak eyes can read. */
const READABLE = 4.5;
const TEXT = 'p, a, h1, h2, h3, td, th, li, label, button, summary, code, pre';
const PHONE: Look = { size: 'phone', colors: 'light' };

async function addressOf(server: Server): Promise<string> {
  return (await server.logged(/http:\/\/127\.0\.0\.1:\d+/))[0];
}

/** `npm start` on a copy of the examples: they store something. */
function startExamples(t: Cleanup): Promise<Server> {
  return startServer(t, {
    args: ({ dir }) => {
      const copy = join(dir, 'examples');
      cpSync(join(ROOT, 'examples'), copy, { recursive: true, filter: (source) => !/\/data\/.*\.db/.test(source) });
      return ['serve', copy, '--port', '0', '--front', 'index.lua', '--config', join(copy, 'config/config.lua')];
    },
    ready: /http:\/\/127\.0\.0\.1:\d+\//,
  });
}

/** A folder of scripts under `luafcgid serve`. */
async function serveSite(
  t: Cleanup,
  files: Readonly<Record<string, string>>,
): Promise<{ address: string; write: (name: string, text: string) => void }> {
  let site = '';
  const server = await startServer(t, {
    args: ({ dir }) => {
      site = join(dir, 'site');
      mkdirSync(site);
      for (const [name, text] of Object.entries(files)) writeFileSync(join(site, name), text);
      return ['serve', site, '--port', '0'];
    },
    ready: /http:\/\/127\.0\.0\.1:\d+\//,
  });
  // At once: a browser that loads the page anew in the midst of a write would find half of a script.
  const write = (name: string, text: string): void => {
    writeFileSync(join(server.dir, 'written'), text);
    renameSync(join(server.dir, 'written'), join(site, name));
  };
  return { address: await addressOf(server), write };
}

describe('pages that people see', () => {
  let browser: Browser;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser.close());

  async function mustBeReadable(url: string): Promise<void> {
    const page = await openPage(browser, url, PHONE);
    for (const look of LOOKS) {
      await changeLook(page, look);
      const where = `${url}, ${look.size}, ${look.colors}`;
      assert.equal(await overflow(page), 0, `${where} can be scrolled sideways`);
      const contrast = await leastContrast(page, TEXT);
      assert.ok(contrast >= READABLE, `${where}: contrast ${contrast.toFixed(2)}`);
    }
    await page.close();
  }

  it('can be read: the examples', async (t) => {
    const address = await addressOf(await startExamples(t));
    for (const path of ['/', '/guestbook/', '/links/', '/wiki/', '/together.lua']) await mustBeReadable(address + path);
  });

  it('can be read: the page of an error, and of an address without a script', async (t) => {
    const { address } = await serveSite(t, {
      'bad.lua': `function main(env, con)\n  local word = ("x"):rep(500)\n  con:puts(word, env.nothing.here)\nend\n`,
    });
    for (const path of ['/bad.lua?name=ann', '/nowhere.lua']) await mustBeReadable(address + path);
  });

  it('an error page goes away by itself when its script is mended', async (t) => {
    const { address, write } = await serveSite(t, {
      'page.lua': 'function main(env, con) con:puts(nothing.here) end\n',
    });
    const page = await openPage(browser, `${address}/page.lua`, PHONE);
    assert.match((await page.textContent('body')) ?? '', /page\.lua:1/);
    write('page.lua', 'function main(env, con) con:puts("<p id=good>mended</p>") end\n');
    await page.waitForSelector('#good');
    // A page that forbids all but itself is loaded anew as well, and its browser complains of nothing that was added.
    const complaints: string[] = [];
    page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
    const strict = (id: string): string =>
      'function main(env, con) con:header("Content-Security-Policy", "default-src \'none\'") print("noted") ' +
      `con:puts("<!doctype html><p id=${id}>strict</p>") end\n`;
    for (const id of ['first', 'second']) {
      write('page.lua', strict(id));
      await page.waitForSelector(`#${id}`);
    }
    await page.waitForSelector('details:has-text("noted")');
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it('can be read: the status page of a server', async (t) => {
    const server = await startServer(t, { config: 'status = "127.0.0.1:0" accesslog = "access.log"' });
    const [, address] = await server.logged(/status\D*(127\.0\.0\.1:\d+)/);
    await mustBeReadable(`http://${address}/`);
  });
});
