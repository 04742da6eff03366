/** Headless Chromium of the distribution, for tests of pages that people see. */
import { type Browser, chromium, type Page } from 'playwright-core';

/** Longest wait for anything of the browser: what it has by itself is short for a busy machine. */
const GUARD_MS = 120_000;

const SIZES = { wide: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } } as const;

export interface Look {
  readonly size: keyof typeof SIZES;
  readonly colors: 'light' | 'dark';
}

/** Every look that a page has to be good in. */
export const LOOKS: readonly Look[] = (['wide', 'phone'] as const).flatMap((size) =>
  (['light', 'dark'] as const).map((colors) => ({ size, colors })),
);

/** To be closed by whoever starts it. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    timeout: GUARD_MS,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-sync'],
  });
}

export async function openPage(browser: Browser, url: string, { size, colors }: Look): Promise<Page> {
  const page = await browser.newPage({ viewport: SIZES[size], colorScheme: colors });
  page.setDefaultTimeout(GUARD_MS);
  await page.goto(url);
  return page;
}

/** Shows an open page in another look. */
export async function changeLook(page: Page, { size, colors }: Look): Promise<void> {
  await page.setViewportSize(SIZES[size]);
  await page.emulateMedia({ colorScheme: colors });
}

/** How far the page can be scrolled sideways: text that leaves the window is not read on a phone. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
}

/** The least contrast of text and background among these elements (WCAG 2: 4.5 is readable). */
export function leastContrast(page: Page, selector: string): Promise<number> {
  return page.evaluate(`(${contrastOf.toString()})(${JSON.stringify(selector)})`);
}

/** What `contrastOf` uses of the page that it runs in. */
interface PageGlobals {
  readonly document: {
    readonly body: { append(element: PageElement): void };
    createElement(name: string): PageElement;
    querySelectorAll(selector: string): Iterable<PageElement>;
  };
  getComputedStyle(element: PageElement): { readonly backgroundColor: string; readonly color: string };
}

interface PageElement {
  readonly parentElement: PageElement | null;
  readonly style: { background: string };
  remove(): void;
}

/** Runs in the page. */
function contrastOf(selector: string): number {
  const { document, getComputedStyle } = globalThis as unknown as PageGlobals;
  const parse = (text: string): number[] => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([red = 0, green = 0, blue = 0]: number[]): number => {
    const part = (value: number): number => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  // What is behind everything: white, or what dark pages have where they say no more than that they can be dark.
  const canvas = document.createElement('i');
  canvas.style.background = 'Canvas';
  document.body.append(canvas);
  const plain = parse(getComputedStyle(canvas).backgroundColor);
  canvas.remove();
  let least = 21;
  for (const element of document.querySelectorAll(selector)) {
    let behind: PageElement | null = element;
    while (behind !== null && parse(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
    const back = light(behind === null ? plain : parse(getComputedStyle(behind).backgroundColor));
    const text = light(parse(getComputedStyle(element).color));
    least = Math.min(least, (Math.max(back, text) + 0.05) / (Math.min(back, text) + 0.05));
  }
  return least;
}
