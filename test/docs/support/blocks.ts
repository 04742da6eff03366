/** The fenced code blocks of a Markdown document, and what the comment before each says about testing it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../support/server.js';

export interface Block {
  /** Where it begins, as `file:line`. */
  readonly place: string;
  /** The word after the fence; empty when there is none. */
  readonly language: string;
  readonly text: string;
  /** `<!-- name: value -->` in the line before the fence. */
  readonly directive: { readonly name: string; readonly value: string } | undefined;
}

/** The blocks of a document of this repository, in order. */
export function readBlocks(document: string): Block[] {
  const lines = readFileSync(join(ROOT, document), 'utf8').split('\n');
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const opening = /^```(\w*)$/.exec(lines[at] ?? '');
    if (opening === null) continue;
    const end = lines.indexOf('```', at + 1);
    if (end < 0) throw new Error(`${document}:${at + 1}: a block without an end`);
    const comment = /^<!-- ([a-z ]+): (.*) -->$/.exec(lines[at - 1] ?? '');
    blocks.push({
      place: `${document}:${at + 1}`,
      language: opening[1] ?? '',
      text: `${lines.slice(at + 1, end).join('\n')}\n`,
      directive: comment === null ? undefined : { name: comment[1] ?? '', value: comment[2] ?? '' },
    });
    at = end;
  }
  return blocks;
}
