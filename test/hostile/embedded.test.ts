import { it } from 'node:test';
import { testHostileScripts } from './short.js';

it('hostile scripts on embedded cost nothing but their own requests (issue 11.3)', (t) =>
  testHostileScripts(t, 'embedded'));
