/** Cleans Lua's stack traces of the engine's own functions. */

import type { ByteString } from './state.js';

/** The chunk name of the Lua files beside this one, as it appears in stack traces. */
export const ownChunkName = '[luafcgid]';

/** The stack trace without the lines of the engine's own Lua functions, and without what raised an error in them. */
export function trimTraceback(traceback: ByteString): ByteString {
  const lines = traceback.split('\n').filter((line) => line !== '');
  const isOwn = (line: string | undefined) => line?.startsWith(`\t${ownChunkName}:`) ?? false;
  const kept = lines.filter((line, at) => {
    if (isOwn(line) || line === '\t[C]: ?') return false;
    return !(line === "\t[C]: in function 'error'" && isOwn(lines[at + 1]));
  });
  return kept.length > 1 ? kept.join('\n') : '';
}
