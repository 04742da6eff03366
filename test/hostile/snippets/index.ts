/** All snippets, by kind. */
import type { EngineName } from '../../../src/lua/engine-names.js';
import { calls } from './calls.js';
import { endless } from './endless.js';
import { errors } from './errors.js';
import { handlers } from './handlers.js';
import { inside } from './inside.js';
import { library } from './library.js';
import { midst } from './midst.js';
import { request } from './request.js';
import { type Snippet, type Snippets, scriptOf } from './snippet.js';
import { texts } from './texts.js';
import { together } from './together.js';
import { work } from './work.js';

const kinds: Readonly<Record<string, Snippets>> = {
  calls,
  texts,
  errors,
  handlers,
  inside,
  request,
  library,
  together,
  work,
  endless,
  midst,
};

export interface NamedSnippet extends Snippet {
  readonly name: string;
}

/** All that mean something on an engine. */
export function snippetsOf(engine: EngineName): readonly NamedSnippet[] {
  return Object.entries(kinds).flatMap(([kind, snippets]) =>
    Object.entries(snippets)
      .map(([name, snippet]) => ({
        ...(typeof snippet === 'string' ? { lua: snippet } : snippet),
        name: `${kind}: ${name}`,
      }))
      .filter(({ on }: Snippet) => on === undefined || on.includes(engine)),
  );
}

export { scriptOf };
