import { it } from 'node:test';
import { testHostileScripts } from './short.js';

it('hostile scripts on lua5.4 cost nothing but their own requests (issue 11.3)', (t) =>
  testHostileScripts(t, 'lua5.4'));
