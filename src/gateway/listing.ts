/** The page of a folder that has no index: its pages, so that the first address one opens leads somewhere. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { toText } from '../base/byte-string.js';
import { sendHtml } from './pages.js';

/** One entry; `name` is a byte string. */
export interface ListedFile {
  readonly name: string;
  readonly isFolder: boolean;
}

/** @param encodePath makes a byte string fit for a URL */
export function sendListing(
  response: ServerResponse<IncomingMessage>,
  path: string,
  files: readonly ListedFile[],
  encodePath: (path: string) => string,
): void {
  const links = files.map(({ name, isFolder }) => {
    const slash = isFolder ? '/' : '';
    // "./" keeps a name with a colon from being read as the scheme of a URL.
    return { href: `./${encodePath(name)}${slash}`, text: toText(name) + slash };
  });
  const title = `Files in ${toText(path)}/`;
  sendHtml(
    response,
    200,
    title,
    links.length === 0 ? 'There are none. Save a script here, for example hello.lua.' : '',
    links,
  );
}
