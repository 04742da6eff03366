/** The version in package.json: the one place where it stands. */
import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('../../../package.json') as { version: string };

export const version = manifest.version;
