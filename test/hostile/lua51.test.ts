import { it } from 'node:test';
import { testHostileScripts } from './short.js';

it('hostile scripts on lua5.1 cost nothing but their own requests (issue 11.3)', (t) =>
  testHostileScripts(t, 'lua5.1'));
